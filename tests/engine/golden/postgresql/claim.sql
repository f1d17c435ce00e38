SELECT DISTINCT message.journey_id
FROM message
JOIN journey ON journey.id = message.journey_id
WHERE message.state = 'queued' AND message.reason IS DISTINCT
FROM :reason_1::VARCHAR
  AND message.channel = :channel_1::VARCHAR
  AND message.ready_at <= :now::BIGINT
  AND message.category = 'transactional'
  AND (message.journey_id NOT IN (SELECT journey.id FROM journey WHERE journey.paused_at IS NOT NULL))
  AND (
    message.journey_id NOT IN (SELECT failure.journey_id FROM failure WHERE failure.work = :work_1::VARCHAR)
  )
  AND journey.paused_at IS NULL;
-- reason_1='not_yet_reachable' channel_1='email' work_1='plan'

SELECT message.id
FROM message
WHERE message.state = 'queued' AND message.reason IS DISTINCT
FROM :reason_1::VARCHAR
  AND message.channel = :channel_1::VARCHAR
  AND message.ready_at <= :now::BIGINT
  AND message.category = 'transactional'
  AND (message.journey_id NOT IN (SELECT journey.id FROM journey WHERE journey.paused_at IS NOT NULL))
  AND (
    message.journey_id NOT IN (SELECT failure.journey_id FROM failure WHERE failure.work = :work_1::VARCHAR)
  )
  AND message.alone IS false
  AND message.crashes = :crashes_1::SMALLINT
ORDER BY message.ready_at, message.id
LIMIT :most::INTEGER
FOR UPDATE SKIP LOCKED;
-- reason_1='not_yet_reachable' channel_1='email' work_1='plan' crashes_1=0

SELECT message.id
FROM message
WHERE message.state = 'queued' AND message.reason IS DISTINCT
FROM :reason_1::VARCHAR
  AND message.channel = :channel_1::VARCHAR
  AND message.ready_at <= :now::BIGINT
  AND message.category = 'transactional'
  AND (message.journey_id NOT IN (SELECT journey.id FROM journey WHERE journey.paused_at IS NOT NULL))
  AND (
    message.journey_id NOT IN (SELECT failure.journey_id FROM failure WHERE failure.work = :work_1::VARCHAR)
  )
  AND message.alone IS false
  AND message.crashes > :crashes_1::SMALLINT
LIMIT :param_1::INTEGER;
-- reason_1='not_yet_reachable' channel_1='email' work_1='plan' crashes_1=0 param_1=1

SELECT message.id
FROM message
WHERE message.state = 'queued' AND message.reason IS DISTINCT
FROM :reason_1::VARCHAR
  AND message.channel = :channel_1::VARCHAR
  AND message.ready_at <= :now::BIGINT
  AND message.journey_id = :journey_id_1::BIGINT
  AND (message.category = :category_1::VARCHAR OR message.reserved_at IS NOT NULL)
  AND message.alone IS false
  AND message.crashes = :crashes_1::SMALLINT
ORDER BY message.ready_at, message.id
LIMIT :most::INTEGER
FOR UPDATE SKIP LOCKED;
-- reason_1='not_yet_reachable' channel_1='email' journey_id_1=1 category_1='transactional' crashes_1=0

UPDATE message
SET state=:state::VARCHAR, reason=:reason::VARCHAR,
  attempts=(message.attempts + :attempts_1::SMALLINT),
  fence=(message.fence + :fence_1::INTEGER),
  worker=:by::VARCHAR, lease_until=:until::BIGINT,
  reserved_at=CASE
    WHEN (message.category != :category_1::VARCHAR) THEN coalesce(message.reserved_at, :now::BIGINT)
  END,
  tried_at=coalesce(message.tried_at, :now::BIGINT)
WHERE message.id = any(:ids::BIGINT[]);
-- state='claimed' reason=None attempts_1=1 fence_1=1 category_1='transactional'

SELECT message.id, message.fence, message.journey_id,
  journey.name AS journey,
  message.enrollment_id, message.step_id, message.version_id, message.customer_id, message.template,
  message.category, message.queued_at, message.due_at, message.send_by, message.tried_at, message.attempts,
  message.doubted_at, message.detail, message.alone, customer.key, customer.email, customer.phone,
  customer.push_token, customer.locale, customer.timezone, customer.attributes, customer.created_at,
  event.name AS event_name,
  message.ready_at, event.received_at,
  event.at AS event_at,
  event.properties,
  CASE
    WHEN (enrollment.outcome IN ('exited', 'converted')) THEN :param_1::VARCHAR
    WHEN (message.send_by < :now::BIGINT) THEN :param_2::VARCHAR
    ELSE CASE
      WHEN (customer.email IS NULL) THEN :param_3::VARCHAR
      WHEN (
        suppression.id IS NOT NULL
          AND (message.category != :category_1::VARCHAR OR suppression.purpose = :purpose_1::VARCHAR)
      ) THEN :param_4::VARCHAR
      WHEN (
        message.category != :category_1::VARCHAR AND (consent.given IS false OR opt_out.address IS NOT NULL)
      ) THEN :param_5::VARCHAR
      WHEN (message.category != :category_1::VARCHAR AND consent.given IS NULL) THEN :param_6::VARCHAR
      WHEN (
        message.category != :category_1::VARCHAR
          AND coalesce(message.basis, :param_7::VARCHAR) != :coalesce_1::VARCHAR
          AND consent.basis != :basis_1::VARCHAR
      ) THEN :param_8::VARCHAR
      ELSE CAST(NULL AS TEXT)
    END
  END AS against,
  customer.email AS address
FROM message
JOIN customer ON customer.id = message.customer_id
JOIN enrollment ON enrollment.id = message.enrollment_id
JOIN journey ON journey.id = message.journey_id
LEFT OUTER JOIN event ON event.id = enrollment.event_id
LEFT OUTER JOIN consent ON consent.customer_id = customer.id AND consent.channel = :channel_1::VARCHAR
LEFT OUTER JOIN opt_out ON opt_out.channel = :channel_2::VARCHAR AND opt_out.address = customer.email_key
LEFT OUTER JOIN suppression ON suppression.channel = :channel_3::VARCHAR
  AND suppression.address = customer.email_key
WHERE message.id = any(:ids::BIGINT[])
ORDER BY message.id;
-- param_1='left_before_send' param_2='stale' param_3='no_address' category_1='transactional' purpose_1='all'
-- param_4='suppressed' param_5='unsubscribed' param_6='no_consent' param_7='consent'
-- coalesce_1='existing_customer' basis_1='consent' param_8='no_consent' channel_1='email' channel_2='email'
-- channel_3='email'
