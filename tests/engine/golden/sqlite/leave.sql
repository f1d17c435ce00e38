DELETE FROM caller;

INSERT INTO caller (
  arrival_id, customer_id, kind, event_id, enrollment_id, at, detail, effective_at, seq, caused, last_at
)
SELECT arrival.id, arrival.customer_id, arrival.kind, arrival.event_id, arrival.enrollment_id, arrival.at,
  arrival.detail, arrival.effective_at, arrival.seq, arrival.caused,
  arrival.at AS at__1
FROM arrival
WHERE arrival.journey_id = :which
  AND arrival.effective_at <= :now
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1 AS anon_1
        FROM event AS unseen
        WHERE unseen.customer_id = arrival.customer_id
          AND unseen.routed_at IS NULL
          AND unseen.effective_at <= arrival.effective_at
        LIMIT :param_2 OFFSET :param_3
      ) IS NULL
  )
  AND (
    SELECT :param_4 AS anon_2
    FROM arrival AS earlier
    WHERE earlier.customer_id = arrival.customer_id
      AND earlier.journey_id + :journey_id_1 IN (:running_1)
      AND earlier.effective_at <= arrival.effective_at
      AND (
        (
          earlier.effective_at, earlier.caused, earlier.at, earlier.seq
        ) < (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
          OR (
            earlier.effective_at, earlier.caused, earlier.at, earlier.seq
          ) = (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
            AND (
              earlier.journey_id IN (SELECT 1 FROM (SELECT 1) WHERE 1!= 1)
                OR earlier.journey_id = arrival.journey_id AND earlier.id < arrival.id
            )
      )
    LIMIT :param_5 OFFSET :param_6
  ) IS NULL
  AND (
    SELECT :param_7 AS anon_3
    FROM enrollment AS other
    WHERE other.customer_id = arrival.customer_id
      AND other.outcome = 'inside'
      AND other.journey_id + :journey_id_2 IN (:running_1)
      AND (other.step_id NOT IN (SELECT 1 FROM (SELECT 1) WHERE 1!= 1))
      AND (
        CASE
          WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
        END < arrival.effective_at
          OR CASE
            WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
          END = arrival.effective_at
            AND arrival.caused = 1
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY arrival.effective_at, arrival.id
LIMIT :param_10 OFFSET :param_11;
-- param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0 param_7=1 journey_id_2=0
-- param_8=1 param_9=0 param_10=5000 param_11=0 running_1=1

SELECT DISTINCT CASE WHEN (caller.event_id IS NULL) THEN caller.kind ELSE event.name END AS anon_1
FROM caller
LEFT OUTER JOIN event ON event.id = caller.event_id;

SELECT caller.customer_id,
  caller.effective_at AS effective_at,
  CASE WHEN (caller.seq < :seq_1 AND caller.caused IS NOT 1) THEN caller.last_at END AS last_at,
  CASE WHEN (caller.seq < :seq_1 AND caller.caused IS NOT 1) THEN caller.seq END AS last_seq
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
    AND CASE WHEN (caller.seq < :seq_1 AND caller.caused IS NOT 1) THEN caller.seq END IS NOT NULL;
-- seq_1=4611686018427387904

SELECT change.id, change.customer_id, change.name, change.at, change.happened_at, change.seq, change."before"
FROM change
WHERE change.customer_id IN (SELECT anon_1.value FROM json_each(:param_1) AS anon_1) AND change.at >= :at_1
ORDER BY change.at, change.happened_at, change.seq, change.id;
-- param_1='[1]' at_1=2026-03-09 09:00:00+00:00

SELECT customer.id, customer."key", customer.attributes, customer.email, customer.phone, customer.push_token,
  customer.locale, customer.timezone, customer.email_key, customer.push_key
FROM customer
WHERE customer.id IN (SELECT anon_1.value FROM json_each(:param_1) AS anon_1);
-- param_1='[1]'

SELECT consent.customer_id, consent.channel, consent.given, consent.basis, consent.since, consent.source,
  consent.proof
FROM consent
WHERE consent.customer_id IN (SELECT anon_1.value FROM json_each(:param_1) AS anon_1);
-- param_1='[1]'

UPDATE customer
SET email=given.email, phone=given.phone, push_token=given.push_token, locale=given.locale,
  timezone=given.timezone, attributes=given.attributes, email_key=given.email_key, push_key=given.push_key
FROM (
  SELECT json_extract(anon_1.value, :json_extract_1) AS email,
    json_extract(anon_1.value, :json_extract_2) AS phone,
    json_extract(anon_1.value, :json_extract_3) AS push_token,
    json_extract(anon_1.value, :json_extract_4) AS locale,
    json_extract(anon_1.value, :json_extract_5) AS timezone,
    json_extract(anon_1.value, :json_extract_6) AS email_key,
    json_extract(anon_1.value, :json_extract_7) AS push_key,
    json_extract(anon_1.value, :json_extract_8) AS attributes,
    json_extract(anon_1.value, :json_extract_9) AS row_id
  FROM json_each(
    :param_1
  ) AS anon_1
) AS given
WHERE customer.id = given.row_id;
-- json_extract_1='$[0]' json_extract_2='$[1]' json_extract_3='$[2]' json_extract_4='$[3]'
-- json_extract_5='$[4]' json_extract_6='$[5]' json_extract_7='$[6]' json_extract_8='$[7]'
-- json_extract_9='$[8]'
-- param_1='[["ada@example.com","+447700962152","token-ada",null,null,"ada@example.com","token-ada","{\\"country\\":\\"DE\\",\\"birthday\\":\\"1990-03-09\\",\\"trial_ends\\":\\"2026-03-20\\"}",1]]'

SELECT DISTINCT watch.name
FROM watch;

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason)
SELECT enrollment.customer_id,
  :param_1 AS anon_1,
  enrollment.id, enrollment.step_id, caller.effective_at,
  :param_2 AS anon_2,
  :param_3 AS anon_3
FROM enrollment,
  caller
WHERE enrollment.journey_id = :journey_id_1
  AND enrollment.version_id + :version_id_1 = :param_4
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome = 'inside'
  AND (EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name = :name_1))
  AND (
    EXISTS (
      SELECT *
      FROM event,
        event AS began
      WHERE event.id = caller.event_id
        AND began.id = enrollment.event_id
        AND CASE
          WHEN (
            json_type(event.properties, :param_5) IN (:json_type_1_1)
          ) THEN json_extract(event.properties, :param_5)
        END = CASE
          WHEN (
            json_type(began.properties, :param_6) IN (:json_type_2_1)
          ) THEN json_extract(began.properties, :param_6)
        END
    )
  );
-- param_1=1 param_2='exited' param_3='order.placed' journey_id_1=1 version_id_1=0 param_4=1
-- name_1='order.placed' param_5='$."cart_id"' param_6='$."cart_id"' json_type_1_1='text' json_type_2_1='text'

UPDATE enrollment
SET step_id=:step_id, outcome=:outcome, reason=:reason, left_at=caller.effective_at
FROM caller
WHERE enrollment.journey_id = :journey_id_1
  AND enrollment.version_id + :version_id_1 = :param_1
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome = 'inside'
  AND (EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name = :name_1))
  AND (
    EXISTS (
      SELECT *
      FROM event,
        event AS began
      WHERE event.id = caller.event_id
        AND began.id = enrollment.event_id
        AND CASE
          WHEN (
            json_type(event.properties, :param_2) IN (:json_type_1_1)
          ) THEN json_extract(event.properties, :param_2)
        END = CASE
          WHEN (
            json_type(began.properties, :param_3) IN (:json_type_2_1)
          ) THEN json_extract(began.properties, :param_3)
        END
    )
  );
-- step_id=None outcome='exited' reason='order.placed' journey_id_1=1 version_id_1=0 param_1=1
-- name_1='order.placed' param_2='$."cart_id"' param_3='$."cart_id"' json_type_1_1='text' json_type_2_1='text'

UPDATE message
SET state=:state, reason=:reason
WHERE message.journey_id = :journey_id_1
  AND message.state = 'queued'
  AND (
    EXISTS (
      SELECT *
      FROM enrollment,
        caller
      WHERE enrollment.id = message.enrollment_id
        AND enrollment.version_id = :version_id_1
        AND enrollment.outcome = 'finished'
        AND enrollment.effective_at <= caller.effective_at
        AND caller.customer_id = message.customer_id
        AND (EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name = :name_1))
        AND (
          EXISTS (
            SELECT *
            FROM event,
              event AS began
            WHERE event.id = caller.event_id
              AND began.id = enrollment.event_id
              AND CASE
                WHEN (
                  json_type(event.properties, :param_1) IN (:json_type_1_1)
                ) THEN json_extract(event.properties, :param_1)
              END = CASE
                WHEN (
                  json_type(began.properties, :param_2) IN (:json_type_2_1)
                ) THEN json_extract(began.properties, :param_2)
              END
          )
        )
    )
  );
-- state='refused' reason='left_before_send' journey_id_1=1 version_id_1=1 name_1='order.placed'
-- param_1='$."cart_id"' param_2='$."cart_id"' json_type_1_1='text' json_type_2_1='text'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason)
SELECT enrollment.customer_id,
  :param_1 AS anon_1,
  enrollment.id, enrollment.step_id, caller.effective_at,
  :param_2 AS anon_2,
  :param_3 AS anon_3
FROM enrollment,
  caller
WHERE enrollment.journey_id = :journey_id_1
  AND enrollment.version_id + :version_id_1 = :param_4
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
        AND event.name = :name_1
        AND coalesce(
          CASE
            WHEN (
              json_type(event.properties, :param_5) IN (:json_type_1_1, :json_type_1_2)
            ) THEN json_extract(event.properties, :param_5)
          END > :param_6, 0
        ) = 1
    )
  );
-- param_1=1 param_2='converted' param_3='order.placed' journey_id_1=1 version_id_1=0 param_4=1
-- name_1='order.placed' param_5='$."total"' param_6=50 json_type_1_1='integer' json_type_1_2='real'

UPDATE enrollment
SET step_id=:step_id, outcome=:outcome, reason=:reason, left_at=caller.effective_at
FROM caller
WHERE enrollment.journey_id = :journey_id_1
  AND enrollment.version_id + :version_id_1 = :param_1
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
        AND event.name = :name_1
        AND coalesce(
          CASE
            WHEN (
              json_type(event.properties, :param_2) IN (:json_type_1_1, :json_type_1_2)
            ) THEN json_extract(event.properties, :param_2)
          END > :param_3, 0
        ) = 1
    )
  );
-- step_id=None outcome='converted' reason='order.placed' journey_id_1=1 version_id_1=0 param_1=1
-- name_1='order.placed' param_2='$."total"' param_3=50 json_type_1_1='integer' json_type_1_2='real'

UPDATE customer
SET email=given.email, phone=given.phone, push_token=given.push_token, locale=given.locale,
  timezone=given.timezone, attributes=given.attributes, email_key=given.email_key, push_key=given.push_key
FROM (
  SELECT json_extract(anon_1.value, :json_extract_1) AS email,
    json_extract(anon_1.value, :json_extract_2) AS phone,
    json_extract(anon_1.value, :json_extract_3) AS push_token,
    json_extract(anon_1.value, :json_extract_4) AS locale,
    json_extract(anon_1.value, :json_extract_5) AS timezone,
    json_extract(anon_1.value, :json_extract_6) AS email_key,
    json_extract(anon_1.value, :json_extract_7) AS push_key,
    json_extract(anon_1.value, :json_extract_8) AS attributes,
    json_extract(anon_1.value, :json_extract_9) AS row_id
  FROM json_each(
    :param_1
  ) AS anon_1
) AS given
WHERE customer.id = given.row_id;
-- json_extract_1='$[0]' json_extract_2='$[1]' json_extract_3='$[2]' json_extract_4='$[3]'
-- json_extract_5='$[4]' json_extract_6='$[5]' json_extract_7='$[6]' json_extract_8='$[7]'
-- json_extract_9='$[8]'
-- param_1='[["ada@example.com","+447700962152","token-ada",null,null,"ada@example.com","token-ada","{\\"country\\":\\"DE\\",\\"birthday\\":\\"1990-03-09\\",\\"trial_ends\\":\\"2026-03-20\\",\\"vip\\":true}",1]]'

DELETE FROM arrival WHERE arrival.id IN (SELECT caller.arrival_id FROM caller);

UPDATE caller
SET looks=(
  caller.kind IN (:kind_1_1, :kind_1_2)
    OR caller.kind IN (:kind_2_1, :kind_2_2)
      AND (
        EXISTS (
          SELECT *
          FROM event
          WHERE event.id = caller.event_id AND event.name IN (SELECT 1 FROM (SELECT 1) WHERE 1!= 1)
        )
      )
);
-- kind_1_1='touch' kind_1_2='expiry' kind_2_1='event' kind_2_2='known'

UPDATE enrollment
SET due_at=caller.effective_at
FROM caller
WHERE enrollment.journey_id = :journey_id_1
  AND enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.deadline_at IS NOT NULL
  AND enrollment.customer_id = caller.customer_id
  AND caller.kind = :kind_1
  AND caller.effective_at >= enrollment.arrived_at
  AND caller.effective_at >= enrollment.effective_at
  AND caller.effective_at <= enrollment.deadline_at
  AND caller.effective_at < enrollment.due_at;
-- journey_id_1=1 version_id_1=1 step_id_1=2 kind_1='touch'

DELETE FROM looked;

SELECT min(caller.effective_at) AS min_1
FROM caller
WHERE caller.looks IS 1 AND caller.effective_at >= :effective_at_1;
-- effective_at_1=0001-01-01 00:00:00+00:00

INSERT INTO looked (enrollment_id, customer_id, branch, stands_until)
SELECT found.enrollment_id, found.customer_id, found.branch, found.stands_until
FROM (
  SELECT asked.customer_id AS customer_id,
    CASE
      WHEN (
        CASE
          WHEN (
            json_type(customer.attributes, :param_1) IN (:json_type_1_1, :json_type_1_2)
          ) THEN json_extract(customer.attributes, :param_1)
        END = :param_2
      ) THEN :param_3
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
        WHEN (caller.seq < :seq_1 AND caller.caused IS 0) THEN caller.last_at ELSE caller.effective_at
      END AS last_at,
      CASE WHEN (caller.seq < :seq_1 AND caller.caused IS 0) THEN caller.seq ELSE :param_4 END AS last_seq
    FROM enrollment
    JOIN caller ON caller.customer_id = enrollment.customer_id
    WHERE enrollment.journey_id = :journey_id_1
      AND enrollment.version_id = :version_id_1
      AND enrollment.outcome = 'inside'
      AND enrollment.effective_at <= caller.effective_at
      AND caller.looks IS 1
      AND caller.effective_at >= :since
      AND caller.effective_at < :until
  ) AS asked
  JOIN customer ON customer.id = asked.customer_id
) AS found;
-- param_1='$."vip"' param_2=True param_3=0 seq_1=4611686018427387904 param_4=4611686018427387904
-- journey_id_1=1 version_id_1=1 json_type_1_1='true' json_type_1_2='false'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason)
SELECT enrollment.customer_id,
  :param_1 AS anon_1,
  enrollment.id, enrollment.step_id, caller.effective_at,
  :param_2 AS anon_2,
  CASE looked.branch WHEN :param_3 THEN :param_4 END AS anon_3
FROM enrollment,
  caller, looked
WHERE enrollment.journey_id = :journey_id_1
  AND enrollment.version_id + :version_id_1 = :param_5
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.effective_at <= caller.effective_at
  AND (enrollment.event_id IS NULL OR caller.event_id IS NULL OR enrollment.event_id != caller.event_id)
  AND enrollment.outcome = 'inside'
  AND looked.enrollment_id = enrollment.id
  AND looked.branch IS NOT NULL;
-- param_1=1 param_2='exited' param_3=0 param_4='condition' journey_id_1=1 version_id_1=0 param_5=1

UPDATE enrollment
SET step_id=:step_id, outcome=:outcome,
  reason=CASE looked.branch WHEN :param_1 THEN :param_2 END,
  left_at=caller.effective_at
FROM caller,
  looked
WHERE enrollment.journey_id = :journey_id_1
  AND enrollment.version_id + :version_id_1 = :param_3
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
WHERE arrival.journey_id = :which
  AND arrival.kind = :kind_1
  AND arrival.customer_id IN (SELECT caller.customer_id FROM caller WHERE caller.looks IS 1);
-- kind_1='expiry'

INSERT INTO arrival (journey_id, customer_id, kind, at, effective_at)
SELECT :which AS anon_1,
  caller.customer_id,
  :param_1 AS anon_2,
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
