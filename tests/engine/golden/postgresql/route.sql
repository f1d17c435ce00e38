UPDATE event
SET routed_at=:now::BIGINT
WHERE event.id IN (
  SELECT event.id
  FROM event
  WHERE event.routed_at IS NULL
  LIMIT :param_1::INTEGER
  FOR UPDATE SKIP LOCKED
)
RETURNING event.id, event.name;
-- param_1=5000

WITH wanted AS MATERIALIZED (
  SELECT given.journey_id AS journey_id, given.name AS name, given.since AS since
  FROM (
    SELECT anon_3.journey_id AS journey_id, anon_3.name AS name, anon_3.since AS since
    FROM unnest(
      :param_2::BIGINT[], :param_3::TEXT[], :param_4::BIGINT[]
    ) AS anon_3(journey_id, name, since)
  ) AS given
)
INSERT INTO arrival (journey_id, customer_id, kind, event_id, at, effective_at, seq, caused)
SELECT wanted.journey_id, event.customer_id,
  :param_1::VARCHAR AS anon_1,
  event.id, event.at, event.effective_at, event.seq,
  event.source LIKE :source_1::VARCHAR || '%' AS anon_2
FROM wanted,
  event
WHERE event.id = any(:ids::BIGINT[])
  AND (event.name || :name_1::VARCHAR) = wanted.name
  AND event.at >= wanted.since
ON CONFLICT DO NOTHING;
-- param_1='event' source_1='journey:' param_2=[5] param_3=['signed.up'] param_4=[1772442000000000] name_1=''

WITH wanted AS MATERIALIZED (
  SELECT given.journey_id AS journey_id, given.name AS name, given.since AS since
  FROM (
    SELECT anon_3.journey_id AS journey_id, anon_3.name AS name, anon_3.since AS since
    FROM unnest(
      :param_2::BIGINT[], :param_3::TEXT[], :param_4::BIGINT[]
    ) AS anon_3(journey_id, name, since)
  ) AS given
)
INSERT INTO arrival (journey_id, customer_id, kind, event_id, at, effective_at, seq, caused)
SELECT wanted.journey_id, event.customer_id,
  :param_1::VARCHAR AS anon_1,
  event.id, event.at, event.effective_at, event.seq,
  event.source LIKE :source_1::VARCHAR || '%' AS anon_2
FROM wanted,
  event
WHERE event.id = any(:ids::BIGINT[])
  AND (event.name || :name_1::VARCHAR) = wanted.name
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
          WHERE waiting.journey_id + :journey_id_1::BIGINT = wanted.journey_id
            AND waiting.customer_id = event.customer_id
            AND waiting.kind != :kind_1::VARCHAR
        )
      )
  )
ON CONFLICT DO NOTHING;
-- param_1='event' source_1='journey:' param_2=[1, 5] param_3=['order.placed', 'order.placed'] param_4=[0, 0]
-- name_1='' journey_id_1=0 kind_1='expiry'

SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || :name, 0));

UPDATE enrollment
SET due_at=first.at
FROM (
  SELECT enrollment.id AS id, min(event.effective_at) AS at
  FROM enrollment
  JOIN event ON event.customer_id = enrollment.customer_id
  WHERE event.id = any(:ids::BIGINT[])
    AND (event.name || :name_1::VARCHAR) IN (:param_1_1::VARCHAR)
    AND enrollment.journey_id = :journey_id_1::BIGINT
    AND enrollment.version_id = :version_id_1::BIGINT
    AND enrollment.step_id = :step_id_1::BIGINT
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
  WHERE event.id = any(:ids::BIGINT[])
    AND (event.name || :name_1::VARCHAR) IN (:param_1_1::VARCHAR)
    AND enrollment.journey_id = :journey_id_1::BIGINT
    AND enrollment.version_id = :version_id_1::BIGINT
    AND enrollment.step_id = :step_id_1::BIGINT
    AND enrollment.outcome = 'inside'
    AND enrollment.deadline_at IS NOT NULL
    AND event.effective_at >= enrollment.arrived_at
    AND event.effective_at >= enrollment.effective_at
    AND event.effective_at <= enrollment.deadline_at
  GROUP BY enrollment.id
) AS first
WHERE enrollment.id = first.id AND enrollment.due_at > first.at;
-- name_1='' journey_id_1=5 version_id_1=5 step_id_1=13 param_1_1='order.placed'
