DELETE FROM cohort;

INSERT INTO cohort (
  enrollment_id, customer_id, event_id, held_out, entered_at, arrived_at, at, deadline_at, effective_at,
  entered_effective_at, entered_seq, arrived_effective_at, visit, skipping
)
SELECT enrollment.id, enrollment.customer_id, enrollment.event_id, enrollment.held_out, enrollment.entered_at,
  enrollment.arrived_at, enrollment.due_at, enrollment.deadline_at,
  CASE
    WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at ELSE enrollment.effective_at
  END AS anon_1,
  enrollment.effective_at, enrollment.seq,
  CASE
    WHEN (enrollment.arrived_at > enrollment.effective_at) THEN enrollment.arrived_at
    ELSE enrollment.effective_at
  END AS anon_2,
  enrollment.visit, enrollment.skipping
FROM enrollment
WHERE enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1 AS anon_3
        FROM event AS unseen
        WHERE unseen.customer_id = enrollment.customer_id
          AND unseen.routed_at IS NULL
          AND unseen.effective_at <= CASE
            WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
            ELSE enrollment.effective_at
          END
        LIMIT :param_2 OFFSET :param_3
      ) IS NULL
  )
  AND (
    SELECT :param_4 AS anon_4
    FROM arrival AS earlier
    WHERE earlier.customer_id = enrollment.customer_id
      AND earlier.journey_id + :journey_id_1 IN (:running_1)
      AND (
        earlier.effective_at < CASE
          WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
          ELSE enrollment.effective_at
        END
          OR earlier.effective_at = CASE
            WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
            ELSE enrollment.effective_at
          END
            AND earlier.caused = 0
      )
    LIMIT :param_5 OFFSET :param_6
  ) IS NULL
  AND (
    SELECT :param_7 AS anon_5
    FROM enrollment AS other
    WHERE other.customer_id = enrollment.customer_id
      AND other.outcome = 'inside'
      AND other.journey_id + :journey_id_2 IN (:running_1)
      AND (other.step_id NOT IN (SELECT 1 FROM (SELECT 1) WHERE 1!= 1))
      AND other.id != enrollment.id
      AND (
        CASE WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at END < CASE
          WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
          ELSE enrollment.effective_at
        END
          OR CASE WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at END = CASE
            WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
            ELSE enrollment.effective_at
          END
            AND (
              other.journey_id IN (SELECT 1 FROM (SELECT 1) WHERE 1!= 1)
                OR other.journey_id = :journey_id_3
                  AND (
                    other.version_id < :version_id_2
                      OR other.version_id = :version_id_3
                        AND other.step_id IN (
                          :step_id_2_1, :step_id_2_2, :step_id_2_3, :step_id_2_4, :step_id_2_5, :step_id_2_6,
                          :step_id_2_7, :step_id_2_8, :step_id_2_9, :step_id_2_10, :step_id_2_11,
                          :step_id_2_12, :step_id_2_13, :step_id_2_14, :step_id_2_15, :step_id_2_16,
                          :step_id_2_17, :step_id_2_18, :step_id_2_19, :step_id_2_20, :step_id_2_21,
                          :step_id_2_22
                        )
                  )
            )
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_10 OFFSET :param_11;
-- version_id_1=5 step_id_1=28 param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0
-- param_7=1 journey_id_2=0 journey_id_3=5 version_id_2=5 version_id_3=5 param_8=1 param_9=0 param_10=5000
-- param_11=0 running_1=5 step_id_2_1=6 step_id_2_2=7 step_id_2_3=8 step_id_2_4=9 step_id_2_5=10
-- step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14 step_id_2_10=15 step_id_2_11=16 step_id_2_12=17
-- step_id_2_13=18 step_id_2_14=19 step_id_2_15=20 step_id_2_16=21 step_id_2_17=22 step_id_2_18=23
-- step_id_2_19=24 step_id_2_20=25 step_id_2_21=26 step_id_2_22=27

SELECT cohort.customer_id,
  coalesce(cohort.effective_at, cohort.at) AS effective_at,
  NULL AS last_at,
  NULL AS last_seq
FROM cohort
WHERE (
  SELECT max(change.at) AS max_1
  FROM change
  WHERE change.customer_id = cohort.customer_id
) > coalesce(cohort.effective_at, cohort.at)
  OR (
    SELECT max(change.at) AS max_1
    FROM change
    WHERE change.customer_id = cohort.customer_id
  ) = coalesce(cohort.effective_at, cohort.at)
    AND NULL IS NOT NULL;

SELECT customer.id, customer."key", customer.draw, customer.email, customer.phone, customer.push_token,
  customer.locale, customer.timezone, customer.attributes, customer.created_at, customer.updated_at,
  customer.email_key, customer.push_key, cohort.enrollment_id,
  cohort.at AS logical_at,
  coalesce(cohort.effective_at, cohort.at) AS effective_at,
  cohort.visit,
  event.name AS event_name,
  event.at AS event_at,
  event.properties
FROM cohort
JOIN customer ON customer.id = cohort.customer_id
LEFT OUTER JOIN event ON event.id = cohort.event_id
WHERE cohort.note IS NULL;

SELECT named."key", named.id
FROM (
  SELECT customer."key" AS "key", customer.id AS id
  FROM customer
  WHERE customer."key" IN (SELECT anon_1.value FROM json_each(:param_1) AS anon_1)
  UNION ALL
  SELECT alias."key" AS "key", alias.customer_id AS customer_id
  FROM alias
  WHERE alias."key" IN (SELECT anon_2.value FROM json_each(:param_2) AS anon_2)
) AS named;
-- param_1='["ada"]' param_2='["ada"]'

INSERT INTO event (
  "key", customer_id, name, at, properties, source, received_at, effective_at, seq, routed_at, scope, content
)
SELECT given."key", given.customer_id, given.name, given.at, given.properties, given.source,
  given.received_at, given.effective_at, given.seq, given.routed_at, given.scope, given.content
FROM (
  SELECT json_extract(anon_1.value, :json_extract_1) AS "key",
    json_extract(anon_1.value, :json_extract_2) AS customer_id,
    json_extract(anon_1.value, :json_extract_3) AS name,
    json_extract(anon_1.value, :json_extract_4) AS at,
    json_extract(anon_1.value, :json_extract_5) AS properties,
    json_extract(anon_1.value, :json_extract_6) AS source,
    json_extract(anon_1.value, :json_extract_7) AS received_at,
    json_extract(anon_1.value, :json_extract_8) AS effective_at,
    json_extract(anon_1.value, :json_extract_9) AS seq,
    json_extract(anon_1.value, :json_extract_10) AS routed_at,
    json_extract(anon_1.value, :json_extract_11) AS scope,
    json_extract(anon_1.value, :json_extract_12) AS content
  FROM json_each(
    :param_1
  ) AS anon_1
) AS given
WHERE 1 = 1
ON CONFLICT ("key", scope) DO NOTHING
RETURNING id, "key", scope, customer_id;
-- json_extract_1='$[0]' json_extract_2='$[1]' json_extract_3='$[2]' json_extract_4='$[3]'
-- json_extract_5='$[4]' json_extract_6='$[5]' json_extract_7='$[6]' json_extract_8='$[7]'
-- json_extract_9='$[8]' json_extract_10='$[9]' json_extract_11='$[10]' json_extract_12='$[11]'
-- param_1='[["emit:5:28",1,"told",1773046800000000,"{\\"why\\":\\"NO\\"}","journey:steps",1773046800000000,1773046800000000,SEQ,null,"","GdMnXVhPod0k0/jP"]]'

SELECT past_event.identity, past_event.customer_id, past_event.content
FROM past_event
WHERE past_event.identity IN (SELECT anon_1.value FROM json_each(:asked) AS anon_1);

UPDATE customer
SET updated_at=:updated_at
WHERE customer.id IN (SELECT anon_1.value FROM json_each(:param_1) AS anon_1);
-- updated_at=2026-03-09 09:00:00+00:00 param_1='[1]'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, detail)
SELECT cohort.customer_id,
  :param_1 AS anon_1,
  cohort.enrollment_id,
  :param_2 AS anon_2,
  cohort.at,
  :param_3 AS anon_3,
  json(:param_4) AS json_1
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2=28 param_3='emitted' param_4='{"event": "told"}'

UPDATE enrollment
SET step_id=:step_id, arrived_at=enrollment.due_at, deadline_at=:deadline_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort);
-- step_id=29 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=28
