SELECT enrollment.due_at
FROM enrollment
WHERE enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1 AS anon_1
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
    SELECT :param_4 AS anon_2
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
    SELECT :param_7 AS anon_3
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
                          :step_id_2_7, :step_id_2_8, :step_id_2_9
                        )
                  )
            )
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY enrollment.due_at
LIMIT :param_10 OFFSET :param_11;
-- version_id_1=5 step_id_1=15 param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0
-- param_7=1 journey_id_2=0 journey_id_3=5 version_id_2=5 version_id_3=5 param_8=1 param_9=0 param_10=1
-- param_11=0 running_1=5 step_id_2_1=6 step_id_2_2=7 step_id_2_3=8 step_id_2_4=9 step_id_2_5=10
-- step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14

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
                          :step_id_2_7, :step_id_2_8, :step_id_2_9
                        )
                  )
            )
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
  AND enrollment.due_at < :until
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_10 OFFSET :param_11;
-- version_id_1=5 step_id_1=15 param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0
-- param_7=1 journey_id_2=0 journey_id_3=5 version_id_2=5 version_id_3=5 param_8=1 param_9=0 param_10=5000
-- param_11=0 running_1=5 step_id_2_1=6 step_id_2_2=7 step_id_2_3=8 step_id_2_4=9 step_id_2_5=10
-- step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14

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

UPDATE cohort
SET branch=found.branch
FROM (
  SELECT cohort.customer_id AS customer_id,
    CASE
      WHEN (fact_1.n0 >= :param_1) THEN :param_2
      WHEN (
        CASE
          WHEN (
            json_type(customer.attributes, :param_3) IN (:json_type_1_1)
          ) THEN json_extract(customer.attributes, :param_3)
        END = :param_4
          AND coalesce(fact_2.n0 >= :param_5, 0) = 0
      ) THEN :param_6
      WHEN 1 THEN :param_7
    END AS branch,
    cohort.enrollment_id AS enrollment_id
  FROM cohort
  JOIN customer ON customer.id = cohort.customer_id
  LEFT OUTER JOIN (
    SELECT stay.customer_id AS customer_id, stay.enrollment_id AS enrollment_id, count(*) AS n0
    FROM (
      SELECT cohort.customer_id AS customer_id,
        cohort.at AS at,
        cohort.effective_at AS effective_at,
        cohort.enrollment_id AS enrollment_id
      FROM cohort
    ) AS stay
    JOIN event ON event.customer_id = stay.customer_id
    WHERE stay.customer_id IN (SELECT cohort.customer_id FROM cohort)
      AND event.name = :param_8
      AND event.effective_at <= stay.effective_at
      AND event.effective_at > stay.at - :moment_0
      AND event.at > stay.at - :moment_0
      AND event.at > :moment_1
    GROUP BY stay.customer_id, stay.enrollment_id
  ) AS fact_1 ON fact_1.enrollment_id = cohort.enrollment_id
  LEFT OUTER JOIN (
    SELECT stay.customer_id AS customer_id, stay.enrollment_id AS enrollment_id, count(*) AS n0
    FROM (
      SELECT cohort.customer_id AS customer_id,
        cohort.entered_effective_at AS entered_effective_at,
        cohort.entered_at AS entered_at,
        cohort.entered_seq AS entered_seq,
        cohort.at AS at,
        cohort.effective_at AS effective_at,
        cohort.enrollment_id AS enrollment_id
      FROM cohort
    ) AS stay
    JOIN event ON event.customer_id = stay.customer_id
    WHERE stay.customer_id IN (SELECT cohort.customer_id FROM cohort)
      AND event.name = :param_9
      AND event.effective_at <= stay.effective_at
      AND (event.effective_at, event.at, event.seq) > (
        stay.entered_effective_at, stay.entered_at, stay.entered_seq
      )
    GROUP BY stay.customer_id, stay.enrollment_id
  ) AS fact_2 ON fact_2.enrollment_id = cohort.enrollment_id
) AS found
WHERE cohort.enrollment_id = found.enrollment_id AND cohort.note IS NULL;
-- param_1=2 param_2=0 param_3='$."country"' param_4='DE' param_5=1 param_6=1 param_7=2 param_8='order.placed'
-- param_9='told' json_type_1_1='text'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, detail)
SELECT cohort.customer_id,
  :param_1 AS anon_1,
  cohort.enrollment_id,
  :param_2 AS anon_2,
  cohort.at,
  :param_3 AS anon_3,
  json_object(
    :param_4,
    CASE cohort.branch
      WHEN :param_5 THEN :param_6 WHEN :param_7 THEN :param_8 WHEN :param_9 THEN :param_10 ELSE :param_11
    END
  ) AS json_object_1
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2=15 param_3='branch' param_4='way' param_5=0 param_6='0' param_7=1 param_8='1' param_9=2
-- param_10='else' param_11='none'

UPDATE enrollment
SET step_id=:step_id, arrived_at=enrollment.due_at, deadline_at=:deadline_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch = :branch_1);
-- step_id=16 deadline_at=None branch_1=0

UPDATE enrollment
SET step_id=:step_id, arrived_at=enrollment.due_at, deadline_at=:deadline_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch = :branch_1);
-- step_id=17 deadline_at=None branch_1=1

UPDATE enrollment
SET step_id=:step_id, arrived_at=enrollment.due_at, deadline_at=:deadline_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch = :branch_1);
-- step_id=18 deadline_at=None branch_1=2

UPDATE enrollment
SET step_id=:step_id, arrived_at=enrollment.due_at, deadline_at=:deadline_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch IS NULL);
-- step_id=19 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=15
