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
                          :step_id_2_17, :step_id_2_18, :step_id_2_19
                        )
                  )
            )
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_10 OFFSET :param_11;
-- version_id_1=5 step_id_1=25 param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0
-- param_7=1 journey_id_2=0 journey_id_3=5 version_id_2=5 version_id_3=5 param_8=1 param_9=0 param_10=5000
-- param_11=0 running_1=5 step_id_2_1=6 step_id_2_2=7 step_id_2_3=8 step_id_2_4=9 step_id_2_5=10
-- step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14 step_id_2_10=15 step_id_2_11=16 step_id_2_12=17
-- step_id_2_13=18 step_id_2_14=19 step_id_2_15=20 step_id_2_16=21 step_id_2_17=22 step_id_2_18=23
-- step_id_2_19=24

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

SELECT DISTINCT watch.name
FROM watch;

INSERT INTO arrival (journey_id, customer_id, kind, at, effective_at, seq, caused)
SELECT DISTINCT watch.journey_id,
  touched.customer_id,
  :param_1 AS anon_1,
  touched.happened_at, touched.at, touched.seq, touched.caused
FROM (
  SELECT changed.customer_id AS customer_id,
    changed.name AS name,
    changed.happened_at AS happened_at,
    changed.at AS at,
    changed.seq AS seq,
    1 AS caused
  FROM (
    SELECT customer.id AS customer_id,
      new."key" AS name,
      acting.at AS at,
      acting.at AS happened_at,
      :seq AS seq,
      customer.attributes -> new.fullkey AS "before"
    FROM (
      SELECT cohort.customer_id AS customer_id, min(coalesce(cohort.effective_at, cohort.at)) AS at
      FROM cohort
      WHERE cohort.note IS NULL
      GROUP BY cohort.customer_id
    ) AS acting
    JOIN customer ON customer.id = acting.customer_id
    JOIN json_each(json(:param_2)) AS new ON 1 = 1
    WHERE (customer.attributes -> new.fullkey) IS NOT (json(:param_2) -> new.fullkey)
    ORDER BY customer.id
  ) AS changed
) AS touched
JOIN watch ON watch.name = touched.name
WHERE watch.inside IS 0
  OR (
    EXISTS (
      SELECT *
      FROM enrollment AS stay
      WHERE stay.customer_id = touched.customer_id
        AND stay.outcome = 'inside'
        AND (stay.journey_id = watch.journey_id OR stay.due_at <= touched.at)
    )
  )
  OR (
    EXISTS (
      SELECT *
      FROM arrival AS pending_arrival
      WHERE pending_arrival.customer_id = touched.customer_id AND pending_arrival.effective_at <= touched.at
    )
  )
  OR (
    EXISTS (
      SELECT *
      FROM event AS unseen_event
      WHERE unseen_event.customer_id = touched.customer_id AND unseen_event.routed_at IS NULL
    )
  );
-- param_1='touch' param_2='{"country": "NO", "visits": 3, "vip": true}'

INSERT INTO change (customer_id, name, at, happened_at, seq, "before")
SELECT customer.id AS customer_id,
  new."key" AS name,
  acting.at AS at,
  acting.at AS happened_at,
  :seq AS seq,
  customer.attributes -> new.fullkey AS "before"
FROM (
  SELECT cohort.customer_id AS customer_id, min(coalesce(cohort.effective_at, cohort.at)) AS at
  FROM cohort
  WHERE cohort.note IS NULL
  GROUP BY cohort.customer_id
) AS acting
JOIN customer ON customer.id = acting.customer_id
JOIN json_each(json(:param_1)) AS new ON 1 = 1
WHERE (customer.attributes -> new.fullkey) IS NOT (json(:param_1) -> new.fullkey)
ORDER BY customer.id;
-- param_1='{"country": "NO", "visits": 3, "vip": true}'

UPDATE customer
SET attributes=json_patch(
  customer.attributes, json(:param_1)
), updated_at=:now
WHERE customer.id IN (SELECT cohort.customer_id FROM cohort WHERE cohort.note IS NULL);
-- param_1='{"country": "NO", "visits": 3, "vip": true}'

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
-- param_1=5 param_2=25 param_3='set' param_4='{"country": "NO", "visits": 3, "vip": true}'

UPDATE enrollment
SET step_id=:step_id, arrived_at=enrollment.due_at, deadline_at=:deadline_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort);
-- step_id=26 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=25
