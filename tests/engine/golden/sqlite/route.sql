UPDATE event
SET routed_at=:now
WHERE event.id IN (SELECT event.id FROM event WHERE event.routed_at IS NULL LIMIT :param_1 OFFSET :param_2)
RETURNING id, name;
-- param_1=5000 param_2=0

WITH wanted AS MATERIALIZED (
  SELECT given.journey_id AS journey_id, given.name AS name, given.since AS since
  FROM (
    SELECT json_extract(anon_3.value, :json_extract_1) AS journey_id,
      json_extract(anon_3.value, :json_extract_2) AS name,
      json_extract(anon_3.value, :json_extract_3) AS since
    FROM json_each(
      :param_2
    ) AS anon_3
  ) AS given
)
INSERT INTO arrival (journey_id, customer_id, kind, event_id, at, effective_at, seq, caused)
SELECT wanted.journey_id, event.customer_id,
  :param_1 AS anon_1,
  event.id, event.at, event.effective_at, event.seq,
  event.source LIKE :source_1 || '%' AS anon_2
FROM wanted,
  event
WHERE event.id IN (SELECT anon_4.value FROM json_each(:ids) AS anon_4)
  AND (event.name || :name_1) = wanted.name
  AND event.at >= wanted.since
ON CONFLICT DO NOTHING;
-- param_1='event' source_1='journey:' json_extract_1='$[0]' json_extract_2='$[1]' json_extract_3='$[2]'
-- param_2='[[5,"signed.up",1772442000000000]]' name_1=''

WITH wanted AS MATERIALIZED (
  SELECT given.journey_id AS journey_id, given.name AS name, given.since AS since
  FROM (
    SELECT json_extract(anon_3.value, :json_extract_1) AS journey_id,
      json_extract(anon_3.value, :json_extract_2) AS name,
      json_extract(anon_3.value, :json_extract_3) AS since
    FROM json_each(
      :param_2
    ) AS anon_3
  ) AS given
)
INSERT INTO arrival (journey_id, customer_id, kind, event_id, at, effective_at, seq, caused)
SELECT wanted.journey_id, event.customer_id,
  :param_1 AS anon_1,
  event.id, event.at, event.effective_at, event.seq,
  event.source LIKE :source_1 || '%' AS anon_2
FROM wanted,
  event
WHERE event.id IN (SELECT anon_4.value FROM json_each(:ids) AS anon_4)
  AND (event.name || :name_1) = wanted.name
  AND event.at >= wanted.since
  AND (
    (
      EXISTS (
        SELECT *
        FROM enrollment
        WHERE enrollment.journey_id = wanted.journey_id
          AND enrollment.customer_id = event.customer_id
          AND (
            enrollment.outcome = 'inside'
              OR enrollment.outcome = 'finished' AND enrollment.convert_by >= event.at
              OR (
                EXISTS (
                  SELECT *
                  FROM message
                  WHERE message.enrollment_id = enrollment.id AND message.state = 'queued'
                )
              )
          )
      )
    )
      OR (
        EXISTS (
          SELECT *
          FROM arrival AS waiting
          WHERE waiting.journey_id + :journey_id_1 = wanted.journey_id
            AND waiting.customer_id = event.customer_id
            AND waiting.kind != :kind_1
        )
      )
  )
ON CONFLICT DO NOTHING;
-- param_1='event' source_1='journey:' json_extract_1='$[0]' json_extract_2='$[1]' json_extract_3='$[2]'
-- param_2='[[1,"order.placed",0],[5,"order.placed",0]]' name_1='' journey_id_1=0 kind_1='expiry'

UPDATE enrollment
SET due_at=first.at
FROM (
  SELECT enrollment.id AS id, min(event.effective_at) AS at
  FROM enrollment
  JOIN event ON event.customer_id = enrollment.customer_id
  WHERE event.id IN (SELECT anon_1.value FROM json_each(:ids) AS anon_1)
    AND (event.name || :name_1) IN (:param_1_1)
    AND enrollment.journey_id = :journey_id_1
    AND enrollment.version_id = :version_id_1
    AND enrollment.step_id = :step_id_1
    AND enrollment.outcome = 'inside'
    AND enrollment.deadline_at IS NOT NULL
    AND event.effective_at >= enrollment.arrived_at
    AND event.effective_at >= enrollment.effective_at
    AND event.effective_at <= enrollment.deadline_at
  GROUP BY enrollment.id
) AS first
WHERE enrollment.id = first.id AND enrollment.due_at > first.at;
-- name_1='' journey_id_1=1 version_id_1=1 step_id_1=2 param_1_1='order.placed'

UPDATE enrollment
SET due_at=first.at
FROM (
  SELECT enrollment.id AS id, min(event.effective_at) AS at
  FROM enrollment
  JOIN event ON event.customer_id = enrollment.customer_id
  WHERE event.id IN (SELECT anon_1.value FROM json_each(:ids) AS anon_1)
    AND (event.name || :name_1) IN (:param_1_1)
    AND enrollment.journey_id = :journey_id_1
    AND enrollment.version_id = :version_id_1
    AND enrollment.step_id = :step_id_1
    AND enrollment.outcome = 'inside'
    AND enrollment.deadline_at IS NOT NULL
    AND event.effective_at >= enrollment.arrived_at
    AND event.effective_at >= enrollment.effective_at
    AND event.effective_at <= enrollment.deadline_at
  GROUP BY enrollment.id
) AS first
WHERE enrollment.id = first.id AND enrollment.due_at > first.at;
-- name_1='' journey_id_1=5 version_id_1=5 step_id_1=13 param_1_1='order.placed'
