// Asks Twilio's own calculator (npm sms-segments-calculator) about texts: one JSON string a line in, one answer a line out.
const { SegmentedMessage } = require(process.argv[2])

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)
for (const line of lines) {
  const { text, smart } = JSON.parse(line)
  const found = new SegmentedMessage(text, 'auto', smart)
  const parts = found.segments.length
  process.stdout.write(JSON.stringify([found.encodingName, parts, found.messageSize]) + '\n')
}
