UPDATE message
SET state=given.state, reason=given.reason, detail=given.detail,
  ready_at=coalesce(given.ready_at, message.ready_at),
  attempts=(message.attempts - given.uncharged),
  lease_until=:lease_until, provider_id=given.provider_id, sent_at=given.sent_at, failed_at=given.failed_at,
  crashes=(message.crashes + given.crashed),
  doubted_at=coalesce(message.doubted_at, given.doubted_at),
  copy_of=given.copy_of,
  alone=(message.alone = 1 OR given.alone)
FROM (
  SELECT json_extract(anon_1.value, :json_extract_1) AS id,
    json_extract(anon_1.value, :json_extract_2) AS fence,
    json_extract(anon_1.value, :json_extract_3) AS state,
    json_extract(anon_1.value, :json_extract_4) AS reason,
    json_extract(anon_1.value, :json_extract_5) AS detail,
    json_extract(anon_1.value, :json_extract_6) AS provider_id,
    json_extract(anon_1.value, :json_extract_7) AS ready_at,
    json_extract(anon_1.value, :json_extract_8) AS sent_at,
    json_extract(anon_1.value, :json_extract_9) AS failed_at,
    json_extract(anon_1.value, :json_extract_10) AS uncharged,
    json_extract(anon_1.value, :json_extract_11) AS crashed,
    json_extract(anon_1.value, :json_extract_12) AS doubted_at,
    json_extract(anon_1.value, :json_extract_13) AS copy_of,
    json_extract(anon_1.value, :json_extract_14) AS alone
  FROM json_each(
    :param_1
  ) AS anon_1
) AS given
WHERE message.id = given.id AND message.fence = given.fence AND message.state = 'claimed'
RETURNING id, customer_id;
-- lease_until=None json_extract_1='$[0]' json_extract_2='$[1]' json_extract_3='$[2]' json_extract_4='$[3]'
-- json_extract_5='$[4]' json_extract_6='$[5]' json_extract_7='$[6]' json_extract_8='$[7]'
-- json_extract_9='$[8]' json_extract_10='$[9]' json_extract_11='$[10]' json_extract_12='$[11]'
-- json_extract_13='$[12]' json_extract_14='$[13]'
-- param_1='[[1,1,"sent",null,null,"p1",null,1773046800000000,null,0,0,null,null,false]]'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT given.customer_id, given.journey_id, given.enrollment_id, given.step_id, given.at, given.decision,
  given.reason, given.detail
FROM (
  SELECT json_extract(anon_1.value, :json_extract_1) AS customer_id,
    json_extract(anon_1.value, :json_extract_2) AS journey_id,
    json_extract(anon_1.value, :json_extract_3) AS enrollment_id,
    json_extract(anon_1.value, :json_extract_4) AS step_id,
    json_extract(anon_1.value, :json_extract_5) AS at,
    json_extract(anon_1.value, :json_extract_6) AS decision,
    json_extract(anon_1.value, :json_extract_7) AS reason,
    json_extract(anon_1.value, :json_extract_8) AS detail
  FROM json_each(
    :param_1
  ) AS anon_1
) AS given
WHERE 1 = 1;
-- json_extract_1='$[0]' json_extract_2='$[1]' json_extract_3='$[2]' json_extract_4='$[3]'
-- json_extract_5='$[4]' json_extract_6='$[5]' json_extract_7='$[6]' json_extract_8='$[7]'
-- param_1='[[1,1,1,1,1773046800000000,"sent",null,"{\\"message\\":1,\\"channel\\":\\"email\\",\\"template\\":\\"reminder\\"}"]]'

SELECT DISTINCT watch.name
FROM watch;
