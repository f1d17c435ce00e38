SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || :name, 0));

DELETE FROM caller;

INSERT INTO caller (
  arrival_id, customer_id, kind, event_id, enrollment_id, at, detail, effective_at, seq, caused, last_at
)
SELECT arrival.id, arrival.customer_id, arrival.kind, arrival.event_id, arrival.enrollment_id, arrival.at,
  arrival.detail, arrival.effective_at, arrival.seq, arrival.caused,
  arrival.at AS at__1
FROM arrival
WHERE arrival.journey_id = :which::BIGINT
  AND arrival.effective_at <= :now::BIGINT
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1::INTEGER AS anon_1
        FROM event AS unseen
        WHERE unseen.customer_id = arrival.customer_id
          AND unseen.routed_at IS NULL
          AND unseen.effective_at <= arrival.effective_at
        LIMIT :param_2::INTEGER
      ) IS NULL
  )
  AND (
    SELECT :param_3::INTEGER AS anon_2
    FROM arrival AS earlier
    WHERE earlier.customer_id = arrival.customer_id
      AND earlier.journey_id + :journey_id_1::BIGINT IN (:running_1::BIGINT)
      AND earlier.effective_at <= arrival.effective_at
      AND (
        (
          earlier.effective_at, earlier.caused, earlier.at, earlier.seq
        ) < (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
          OR (
            earlier.effective_at, earlier.caused, earlier.at, earlier.seq
          ) = (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
            AND (
              earlier.journey_id IN (NULL) AND (1 != 1)
                OR earlier.journey_id = arrival.journey_id AND earlier.id < arrival.id
            )
      )
    LIMIT :param_4::INTEGER
  ) IS NULL
  AND (
    SELECT :param_5::INTEGER AS anon_3
    FROM enrollment AS other
    WHERE other.customer_id = arrival.customer_id
      AND other.outcome = 'inside'
      AND other.journey_id + :journey_id_2::BIGINT IN (:running_1::BIGINT)
      AND (other.step_id NOT IN (NULL) OR (1 = 1))
      AND (
        CASE
          WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
        END < arrival.effective_at
          OR CASE
            WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
          END = arrival.effective_at
            AND arrival.caused
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY arrival.effective_at, arrival.id
LIMIT :param_7::INTEGER;
-- param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0 param_6=1 param_7=5000
-- running_1=1

SELECT DISTINCT CASE WHEN (caller.event_id IS NULL) THEN caller.kind ELSE event.name END AS anon_1
FROM caller
LEFT OUTER JOIN event ON event.id = caller.event_id;

SELECT caller.customer_id,
  caller.effective_at AS effective_at,
  CASE WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS NOT true) THEN caller.last_at END AS last_at,
  CASE WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS NOT true) THEN caller.seq END AS last_seq
FROM caller
WHERE (
  SELECT max(change.at) AS max_1
  FROM change
  WHERE change.customer_id = caller.customer_id
) > caller.effective_at
  OR (
    SELECT max(change.at) AS max_1
    FROM change
    WHERE change.customer_id = caller.customer_id
  ) = caller.effective_at
    AND CASE WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS NOT true) THEN caller.seq END IS NOT NULL;
-- seq_1=4611686018427387904

SELECT customer.id
FROM customer
WHERE customer.id = any(:param_1::BIGINT[])
ORDER BY customer.id FOR NO KEY
UPDATE;
-- param_1=[1]

SELECT change.id, change.customer_id, change.name, change.at, change.happened_at, change.seq, change.before
FROM change
WHERE change.customer_id = any(:param_1::BIGINT[]) AND change.at >= :at_1::BIGINT
ORDER BY change.at, change.happened_at, change.seq, change.id;
-- param_1=[1] at_1=2026-03-09 09:00:00+00:00

SELECT customer.id, customer.key, customer.attributes, customer.email, customer.phone, customer.push_token,
  customer.locale, customer.timezone, customer.email_key, customer.push_key
FROM customer
WHERE customer.id = any(:param_1::BIGINT[]);
-- param_1=[1]

SELECT consent.customer_id, consent.channel, consent.given, consent.basis, consent.since, consent.source,
  consent.proof
FROM consent
WHERE consent.customer_id = any(:param_1::BIGINT[]);
-- param_1=[1]

UPDATE customer
SET email=given.email, phone=given.phone, push_token=given.push_token, locale=given.locale,
  timezone=given.timezone, attributes=given.attributes, email_key=given.email_key, push_key=given.push_key
FROM (
  SELECT anon_1.email AS email,
    anon_1.phone AS phone,
    anon_1.push_token AS push_token,
    anon_1.locale AS locale,
    anon_1.timezone AS timezone,
    anon_1.email_key AS email_key,
    anon_1.push_key AS push_key,
    CAST(anon_1.attributes AS JSONB) AS attributes,
    anon_1.row_id AS row_id
  FROM unnest(
    :param_1::TEXT[], :param_2::TEXT[], :param_3::TEXT[], :param_4::TEXT[], :param_5::TEXT[],
    :param_6::TEXT[], :param_7::TEXT[], :param_8::TEXT[], :param_9::BIGINT[]
  ) AS anon_1(email, phone, push_token, locale, timezone, email_key, push_key, attributes, row_id)
) AS given
WHERE customer.id = given.row_id;
-- param_1=['ada@example.com'] param_2=['+447700962152'] param_3=['token-ada'] param_4=[None] param_5=[None]
-- param_6=['ada@example.com'] param_7=['token-ada']
-- param_8=['{"country":"DE","birthday":"1990-03-09","trial_ends":"2026-03-20"}'] param_9=[1]

SELECT DISTINCT watch.name
FROM watch;

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason)
SELECT enrollment.customer_id,
  :param_1::BIGINT AS anon_1,
  enrollment.id, enrollment.step_id, caller.effective_at,
  :param_2::VARCHAR AS anon_2,
  :param_3::VARCHAR AS anon_3
FROM enrollment,
  caller
WHERE enrollment.journey_id = :journey_id_1::BIGINT
  AND enrollment.version_id + :version_id_1::BIGINT = :param_4::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome = 'inside'
  AND (EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name = :name_1::VARCHAR))
  AND (
    EXISTS (
      SELECT *
      FROM event,
        event AS began
      WHERE event.id = caller.event_id
        AND began.id = enrollment.event_id
        AND CASE
          WHEN (
            jsonb_typeof(event.properties -> :param_5::VARCHAR) = :jsonb_typeof_1::VARCHAR
          ) THEN event.properties ->> :param_5::VARCHAR
        END = CASE
          WHEN (
            jsonb_typeof(began.properties -> :param_6::VARCHAR) = :jsonb_typeof_2::VARCHAR
          ) THEN began.properties ->> :param_6::VARCHAR
        END
    )
  );
-- param_1=1 param_2='exited' param_3='order.placed' journey_id_1=1 version_id_1=0 param_4=1
-- name_1='order.placed' param_5='cart_id' jsonb_typeof_1='string' param_6='cart_id' jsonb_typeof_2='string'

UPDATE enrollment
SET step_id=:step_id::BIGINT, outcome=:outcome::VARCHAR, reason=:reason::VARCHAR, left_at=caller.effective_at
FROM caller
WHERE enrollment.journey_id = :journey_id_1::BIGINT
  AND enrollment.version_id + :version_id_1::BIGINT = :param_1::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome = 'inside'
  AND (EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name = :name_1::VARCHAR))
  AND (
    EXISTS (
      SELECT *
      FROM event,
        event AS began
      WHERE event.id = caller.event_id
        AND began.id = enrollment.event_id
        AND CASE
          WHEN (
            jsonb_typeof(event.properties -> :param_2::VARCHAR) = :jsonb_typeof_1::VARCHAR
          ) THEN event.properties ->> :param_2::VARCHAR
        END = CASE
          WHEN (
            jsonb_typeof(began.properties -> :param_3::VARCHAR) = :jsonb_typeof_2::VARCHAR
          ) THEN began.properties ->> :param_3::VARCHAR
        END
    )
  );
-- step_id=None outcome='exited' reason='order.placed' journey_id_1=1 version_id_1=0 param_1=1
-- name_1='order.placed' param_2='cart_id' jsonb_typeof_1='string' param_3='cart_id' jsonb_typeof_2='string'

UPDATE message
SET state=:state::VARCHAR, reason=:reason::VARCHAR
WHERE message.journey_id = :journey_id_1::BIGINT
  AND message.state = 'queued'
  AND (
    EXISTS (
      SELECT *
      FROM enrollment,
        caller
      WHERE enrollment.id = message.enrollment_id
        AND enrollment.version_id = :version_id_1::BIGINT
        AND enrollment.outcome = 'finished'
        AND enrollment.effective_at <= caller.effective_at
        AND caller.customer_id = message.customer_id
        AND (EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name = :name_1::VARCHAR))
        AND (
          EXISTS (
            SELECT *
            FROM event,
              event AS began
            WHERE event.id = caller.event_id
              AND began.id = enrollment.event_id
              AND CASE
                WHEN (
                  jsonb_typeof(event.properties -> :param_1::VARCHAR) = :jsonb_typeof_1::VARCHAR
                ) THEN event.properties ->> :param_1::VARCHAR
              END = CASE
                WHEN (
                  jsonb_typeof(began.properties -> :param_2::VARCHAR) = :jsonb_typeof_2::VARCHAR
                ) THEN began.properties ->> :param_2::VARCHAR
              END
          )
        )
    )
  );
-- state='refused' reason='left_before_send' journey_id_1=1 version_id_1=1 name_1='order.placed'
-- param_1='cart_id' jsonb_typeof_1='string' param_2='cart_id' jsonb_typeof_2='string'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason)
SELECT enrollment.customer_id,
  :param_1::BIGINT AS anon_1,
  enrollment.id, enrollment.step_id, caller.effective_at,
  :param_2::VARCHAR AS anon_2,
  :param_3::VARCHAR AS anon_3
FROM enrollment,
  caller
WHERE enrollment.journey_id = :journey_id_1::BIGINT
  AND enrollment.version_id + :version_id_1::BIGINT = :param_4::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome IN ('inside', 'finished')
  AND enrollment.convert_by >= caller.at
  AND (
    EXISTS (
      SELECT *
      FROM event
      WHERE event.id = caller.event_id
        AND event.name = :name_1::VARCHAR
        AND coalesce(
          CASE
            WHEN (
              jsonb_typeof(event.properties -> :param_5::VARCHAR) = :jsonb_typeof_1::VARCHAR
            ) THEN CAST(event.properties -> :param_5::VARCHAR AS NUMERIC)
          END > CAST(:param_6 AS NUMERIC), false
        )
    )
  );
-- param_1=1 param_2='converted' param_3='order.placed' journey_id_1=1 version_id_1=0 param_4=1
-- name_1='order.placed' param_5='total' jsonb_typeof_1='number' param_6=Decimal('50')

UPDATE enrollment
SET step_id=:step_id::BIGINT, outcome=:outcome::VARCHAR, reason=:reason::VARCHAR, left_at=caller.effective_at
FROM caller
WHERE enrollment.journey_id = :journey_id_1::BIGINT
  AND enrollment.version_id + :version_id_1::BIGINT = :param_1::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome IN ('inside', 'finished')
  AND enrollment.convert_by >= caller.at
  AND (
    EXISTS (
      SELECT *
      FROM event
      WHERE event.id = caller.event_id
        AND event.name = :name_1::VARCHAR
        AND coalesce(
          CASE
            WHEN (
              jsonb_typeof(event.properties -> :param_2::VARCHAR) = :jsonb_typeof_1::VARCHAR
            ) THEN CAST(event.properties -> :param_2::VARCHAR AS NUMERIC)
          END > CAST(:param_3 AS NUMERIC), false
        )
    )
  );
-- step_id=None outcome='converted' reason='order.placed' journey_id_1=1 version_id_1=0 param_1=1
-- name_1='order.placed' param_2='total' jsonb_typeof_1='number' param_3=Decimal('50')

UPDATE customer
SET email=given.email, phone=given.phone, push_token=given.push_token, locale=given.locale,
  timezone=given.timezone, attributes=given.attributes, email_key=given.email_key, push_key=given.push_key
FROM (
  SELECT anon_1.email AS email,
    anon_1.phone AS phone,
    anon_1.push_token AS push_token,
    anon_1.locale AS locale,
    anon_1.timezone AS timezone,
    anon_1.email_key AS email_key,
    anon_1.push_key AS push_key,
    CAST(anon_1.attributes AS JSONB) AS attributes,
    anon_1.row_id AS row_id
  FROM unnest(
    :param_1::TEXT[], :param_2::TEXT[], :param_3::TEXT[], :param_4::TEXT[], :param_5::TEXT[],
    :param_6::TEXT[], :param_7::TEXT[], :param_8::TEXT[], :param_9::BIGINT[]
  ) AS anon_1(email, phone, push_token, locale, timezone, email_key, push_key, attributes, row_id)
) AS given
WHERE customer.id = given.row_id;
-- param_1=['ada@example.com'] param_2=['+447700962152'] param_3=['token-ada'] param_4=[None] param_5=[None]
-- param_6=['ada@example.com'] param_7=['token-ada']
-- param_8=['{"country":"DE","birthday":"1990-03-09","trial_ends":"2026-03-20","vip":true}'] param_9=[1]

DELETE FROM arrival WHERE arrival.id IN (SELECT caller.arrival_id FROM caller);

UPDATE caller
SET looks=(
  caller.kind IN (:kind_1_1::VARCHAR, :kind_1_2::VARCHAR)
    OR caller.kind IN (:kind_2_1::VARCHAR, :kind_2_2::VARCHAR)
      AND (
        EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name IN (NULL) AND (1 != 1))
      )
);
-- kind_1_1='touch' kind_1_2='expiry' kind_2_1='event' kind_2_2='known'

UPDATE enrollment
SET due_at=caller.effective_at
FROM caller
WHERE enrollment.journey_id = :journey_id_1::BIGINT
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.deadline_at IS NOT NULL
  AND enrollment.customer_id = caller.customer_id
  AND caller.kind = :kind_1::VARCHAR
  AND caller.effective_at >= enrollment.arrived_at
  AND caller.effective_at >= enrollment.effective_at
  AND caller.effective_at <= enrollment.deadline_at
  AND caller.effective_at < enrollment.due_at;
-- journey_id_1=1 version_id_1=1 step_id_1=2 kind_1='touch'

DELETE FROM looked;

SELECT min(caller.effective_at) AS min_1
FROM caller
WHERE caller.looks IS true AND caller.effective_at >= :effective_at_1::BIGINT;
-- effective_at_1=0001-01-01 00:00:00+00:00

INSERT INTO looked (enrollment_id, customer_id, branch, stands_until)
SELECT found.enrollment_id, found.customer_id, found.branch, found.stands_until
FROM (
  SELECT asked.customer_id AS customer_id,
    CASE
      WHEN (
        CASE
          WHEN (
            jsonb_typeof(customer.attributes -> :param_1::VARCHAR) = :jsonb_typeof_1::VARCHAR
          ) THEN CAST(customer.attributes -> :param_1::VARCHAR AS BOOLEAN)
        END = :param_2
      ) THEN :param_3::INTEGER
    END AS branch,
    asked.enrollment_id AS enrollment_id,
    CAST(NULL AS BIGINT) AS stands_until
  FROM (
    SELECT enrollment.id AS enrollment_id,
      enrollment.customer_id AS customer_id,
      enrollment.event_id AS event_id,
      enrollment.entered_at AS entered_at,
      caller.effective_at AS at,
      caller.effective_at AS effective_at,
      enrollment.effective_at AS entered_effective_at,
      enrollment.seq AS entered_seq,
      CASE
        WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS false) THEN caller.last_at
        ELSE caller.effective_at
      END AS last_at,
      CASE
        WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS false) THEN caller.seq ELSE :param_4::BIGINT
      END AS last_seq
    FROM enrollment
    JOIN caller ON caller.customer_id = enrollment.customer_id
    WHERE enrollment.journey_id = :journey_id_1::BIGINT
      AND enrollment.version_id = :version_id_1::BIGINT
      AND enrollment.outcome = 'inside'
      AND enrollment.effective_at <= caller.effective_at
      AND caller.looks IS true
      AND caller.effective_at >= :since::BIGINT
      AND caller.effective_at < :until::BIGINT
  ) AS asked
  JOIN customer ON customer.id = asked.customer_id
) AS found;
-- param_1='vip' jsonb_typeof_1='boolean' param_2=True param_3=0 seq_1=4611686018427387904
-- param_4=4611686018427387904 journey_id_1=1 version_id_1=1

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason)
SELECT enrollment.customer_id,
  :param_1::BIGINT AS anon_1,
  enrollment.id, enrollment.step_id, caller.effective_at,
  :param_2::VARCHAR AS anon_2,
  CASE looked.branch WHEN :param_3::INTEGER THEN :param_4::VARCHAR END AS anon_3
FROM enrollment,
  caller, looked
WHERE enrollment.journey_id = :journey_id_1::BIGINT
  AND enrollment.version_id + :version_id_1::BIGINT = :param_5::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome = 'inside'
  AND looked.enrollment_id = enrollment.id
  AND looked.branch IS NOT NULL;
-- param_1=1 param_2='exited' param_3=0 param_4='condition' journey_id_1=1 version_id_1=0 param_5=1

UPDATE enrollment
SET step_id=:step_id::BIGINT, outcome=:outcome::VARCHAR,
  reason=CASE looked.branch WHEN :param_1::INTEGER THEN :param_2::VARCHAR END,
  left_at=caller.effective_at
FROM caller,
  looked
WHERE enrollment.journey_id = :journey_id_1::BIGINT
  AND enrollment.version_id + :version_id_1::BIGINT = :param_3::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome = 'inside'
  AND looked.enrollment_id = enrollment.id
  AND looked.branch IS NOT NULL;
-- step_id=None outcome='exited' param_1=0 param_2='condition' journey_id_1=1 version_id_1=0 param_3=1

UPDATE caller
SET stands_until=CASE
  WHEN (
    caller.stands_until < (
      SELECT min(looked.stands_until) AS min_1
      FROM looked
      WHERE looked.customer_id = caller.customer_id AND looked.branch IS NULL
    )
  ) THEN caller.stands_until
  ELSE coalesce(
    (
      SELECT min(looked.stands_until) AS min_1
      FROM looked
      WHERE looked.customer_id = caller.customer_id AND looked.branch IS NULL
    ), caller.stands_until
  )
END;

DELETE FROM arrival
WHERE arrival.journey_id = :which::BIGINT
  AND arrival.kind = :kind_1::VARCHAR
  AND arrival.customer_id IN (SELECT caller.customer_id FROM caller WHERE caller.looks IS true);
-- kind_1='expiry'

INSERT INTO arrival (journey_id, customer_id, kind, at, effective_at)
SELECT :which::BIGINT AS anon_1,
  caller.customer_id,
  :param_1::VARCHAR AS anon_2,
  caller.stands_until,
  caller.stands_until AS stands_until__1
FROM caller
WHERE caller.stands_until IS NOT NULL
ON CONFLICT (journey_id, customer_id)
WHERE kind = 'expiry' DO
UPDATE
SET at = excluded.at,
  effective_at = excluded.effective_at
WHERE excluded.effective_at < arrival.effective_at;
-- param_1='expiry'
