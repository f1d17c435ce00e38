SELECT message.id
FROM message
WHERE message.id = any(:param_1::BIGINT[])
ORDER BY message.id
FOR UPDATE;
-- param_1=[1]

UPDATE message
SET state=given.state, reason=given.reason, detail=given.detail,
  ready_at=coalesce(given.ready_at, message.ready_at),
  attempts=(message.attempts - given.uncharged),
  lease_until=:lease_until::BIGINT, provider_id=given.provider_id, sent_at=given.sent_at,
  failed_at=given.failed_at,
  crashes=(message.crashes + given.crashed),
  doubted_at=coalesce(message.doubted_at, given.doubted_at),
  copy_of=given.copy_of,
  alone=(message.alone OR given.alone)
FROM (
  SELECT anon_1.id AS id,
    anon_1.fence AS fence,
    anon_1.state AS state,
    anon_1.reason AS reason,
    anon_1.detail AS detail,
    anon_1.provider_id AS provider_id,
    anon_1.ready_at AS ready_at,
    anon_1.sent_at AS sent_at,
    anon_1.failed_at AS failed_at,
    anon_1.uncharged AS uncharged,
    anon_1.crashed AS crashed,
    anon_1.doubted_at AS doubted_at,
    anon_1.copy_of AS copy_of,
    anon_1.alone AS alone
  FROM unnest(
    :param_1::BIGINT[], :param_2::INTEGER[], :param_3::TEXT[], :param_4::TEXT[], :param_5::TEXT[],
    :param_6::TEXT[], :param_7::BIGINT[], :param_8::BIGINT[], :param_9::BIGINT[], :param_10::INTEGER[],
    :param_11::INTEGER[], :param_12::BIGINT[], :param_13::BIGINT[], :param_14::BOOLEAN[]
  ) AS anon_1(
    id, fence, state, reason, detail, provider_id, ready_at, sent_at, failed_at, uncharged, crashed,
    doubted_at, copy_of, alone
  )
) AS given
WHERE message.id = given.id AND message.fence = given.fence AND message.state = 'claimed'
RETURNING message.id, message.customer_id;
-- lease_until=None param_1=[1] param_2=[1] param_3=['sent'] param_4=[None] param_5=[None] param_6=['p1']
-- param_7=[None] param_8=[1773046800000000] param_9=[None] param_10=[0] param_11=[0] param_12=[None]
-- param_13=[None] param_14=[False]

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT given.customer_id, given.journey_id, given.enrollment_id, given.step_id, given.at, given.decision,
  given.reason, given.detail
FROM (
  SELECT anon_1.customer_id AS customer_id,
    anon_1.journey_id AS journey_id,
    anon_1.enrollment_id AS enrollment_id,
    anon_1.step_id AS step_id,
    anon_1.at AS at,
    anon_1.decision AS decision,
    anon_1.reason AS reason,
    CAST(anon_1.detail AS JSONB) AS detail
  FROM unnest(
    :param_1::BIGINT[], :param_2::BIGINT[], :param_3::BIGINT[], :param_4::BIGINT[], :param_5::BIGINT[],
    :param_6::TEXT[], :param_7::TEXT[], :param_8::TEXT[]
  ) AS anon_1(customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
) AS given
WHERE true;
-- param_1=[1] param_2=[1] param_3=[1] param_4=[1] param_5=[1773046800000000] param_6=['sent'] param_7=[None]
-- param_8=['{"message":1,"channel":"email","template":"reminder"}']

SELECT DISTINCT watch.name
FROM watch;
