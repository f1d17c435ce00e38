SELECT DISTINCT message.journey_id
FROM message
JOIN journey ON journey.id = message.journey_id
WHERE message.state = 'queued'
  AND message.reason IS NOT :reason_1
  AND message.channel = :channel_1
  AND message.ready_at <= :now
  AND message.category = 'transactional'
  AND (message.journey_id NOT IN (SELECT journey.id FROM journey WHERE journey.paused_at IS NOT NULL))
  AND (message.journey_id NOT IN (SELECT failure.journey_id FROM failure WHERE failure.work = :work_1))
  AND journey.paused_at IS NULL;
-- reason_1='not_yet_reachable' channel_1='email' work_1='plan'

SELECT message.id
FROM message
WHERE message.state = 'queued'
  AND message.reason IS NOT :reason_1
  AND message.channel = :channel_1
  AND message.ready_at <= :now
  AND message.category = 'transactional'
  AND (message.journey_id NOT IN (SELECT journey.id FROM journey WHERE journey.paused_at IS NOT NULL))
  AND (message.journey_id NOT IN (SELECT failure.journey_id FROM failure WHERE failure.work = :work_1))
  AND message.alone IS 0
  AND message.crashes = :crashes_1
ORDER BY message.ready_at, message.id
LIMIT :most OFFSET :param_1;
-- reason_1='not_yet_reachable' channel_1='email' work_1='plan' crashes_1=0 param_1=0

SELECT message.id
FROM message
WHERE message.state = 'queued'
  AND message.reason IS NOT :reason_1
  AND message.channel = :channel_1
  AND message.ready_at <= :now
  AND message.category = 'transactional'
  AND (message.journey_id NOT IN (SELECT journey.id FROM journey WHERE journey.paused_at IS NOT NULL))
  AND (message.journey_id NOT IN (SELECT failure.journey_id FROM failure WHERE failure.work = :work_1))
  AND message.alone IS 0
  AND message.crashes > :crashes_1
LIMIT :param_1 OFFSET :param_2;
-- reason_1='not_yet_reachable' channel_1='email' work_1='plan' crashes_1=0 param_1=1 param_2=0

SELECT message.id
FROM message
WHERE message.state = 'queued'
  AND message.reason IS NOT :reason_1
  AND message.channel = :channel_1
  AND message.ready_at <= :now
  AND message.journey_id = :journey_id_1
  AND (message.category = :category_1 OR message.reserved_at IS NOT NULL)
  AND message.alone IS 0
  AND message.crashes = :crashes_1
ORDER BY message.ready_at, message.id
LIMIT :most OFFSET :param_1;
-- reason_1='not_yet_reachable' channel_1='email' journey_id_1=1 category_1='transactional' crashes_1=0
-- param_1=0

UPDATE message
SET state=:state, reason=:reason,
  attempts=(message.attempts + :attempts_1),
  fence=(message.fence + :fence_1),
  worker=:by, lease_until=:until,
  reserved_at=CASE WHEN (message.category != :category_1) THEN coalesce(message.reserved_at, :now) END,
  tried_at=coalesce(message.tried_at, :now)
WHERE message.id IN (SELECT anon_1.value FROM json_each(:ids) AS anon_1);
-- state='claimed' reason=None attempts_1=1 fence_1=1 category_1='transactional'

SELECT message.id, message.fence, message.journey_id,
  journey.name AS journey,
  message.enrollment_id, message.step_id, message.version_id, message.customer_id, message.template,
  message.category, message.queued_at, message.due_at, message.send_by, message.tried_at, message.attempts,
  message.doubted_at, message.detail, message.alone, customer."key", customer.email, customer.phone,
  customer.push_token, customer.locale, customer.timezone, customer.attributes, customer.created_at,
  event.name AS event_name,
  message.ready_at, event.received_at,
  event.at AS event_at,
  event.properties,
  CASE
    WHEN (enrollment.outcome IN ('exited', 'converted')) THEN :param_1
    WHEN (message.send_by < :now) THEN :param_2
    ELSE CASE
      WHEN (customer.email IS NULL) THEN :param_3
      WHEN (
        suppression.id IS NOT NULL AND (message.category != :category_1 OR suppression.purpose = :purpose_1)
      ) THEN :param_4
      WHEN (
        message.category != :category_1 AND (consent.given IS 0 OR opt_out.address IS NOT NULL)
      ) THEN :param_5
      WHEN (message.category != :category_1 AND consent.given IS NULL) THEN :param_6
      WHEN (
        message.category != :category_1
          AND coalesce(message.basis, :param_7) != :coalesce_1
          AND consent.basis != :basis_1
      ) THEN :param_8
      ELSE CAST(NULL AS TEXT)
    END
  END AS against,
  customer.email AS address
FROM message
JOIN customer ON customer.id = message.customer_id
JOIN enrollment ON enrollment.id = message.enrollment_id
JOIN journey ON journey.id = message.journey_id
LEFT OUTER JOIN event ON event.id = enrollment.event_id
LEFT OUTER JOIN consent ON consent.customer_id = customer.id AND consent.channel = :channel_1
LEFT OUTER JOIN opt_out ON opt_out.channel = :channel_2 AND opt_out.address = customer.email_key
LEFT OUTER JOIN suppression ON suppression.channel = :channel_3 AND suppression.address = customer.email_key
WHERE message.id IN (SELECT anon_1.value FROM json_each(:ids) AS anon_1)
ORDER BY message.id;
-- param_1='left_before_send' param_2='stale' param_3='no_address' category_1='transactional' purpose_1='all'
-- param_4='suppressed' param_5='unsubscribed' param_6='no_consent' param_7='consent'
-- coalesce_1='existing_customer' basis_1='consent' param_8='no_consent' channel_1='email' channel_2='email'
-- channel_3='email'
