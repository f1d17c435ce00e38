SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || :name, 0));

SELECT enrollment.due_at
FROM enrollment
WHERE enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1::INTEGER AS anon_1
        FROM event AS unseen
        WHERE unseen.customer_id = enrollment.customer_id
          AND unseen.routed_at IS NULL
          AND unseen.effective_at <= CASE
            WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
            ELSE enrollment.effective_at
          END
        LIMIT :param_2::INTEGER
      ) IS NULL
  )
  AND (
    SELECT :param_3::INTEGER AS anon_2
    FROM arrival AS earlier
    WHERE earlier.customer_id = enrollment.customer_id
      AND earlier.journey_id + :journey_id_1::BIGINT IN (:running_1::BIGINT)
      AND (
        earlier.effective_at < CASE
          WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
          ELSE enrollment.effective_at
        END
          OR earlier.effective_at = CASE
            WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
            ELSE enrollment.effective_at
          END
            AND NOT earlier.caused
      )
    LIMIT :param_4::INTEGER
  ) IS NULL
  AND (
    SELECT :param_5::INTEGER AS anon_3
    FROM enrollment AS other
    WHERE other.customer_id = enrollment.customer_id
      AND other.outcome = 'inside'
      AND other.journey_id + :journey_id_2::BIGINT IN (:running_1::BIGINT)
      AND (other.step_id NOT IN (NULL) OR (1 = 1))
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
              other.journey_id IN (NULL) AND (1 != 1)
                OR other.journey_id = :journey_id_3::BIGINT
                  AND (
                    other.version_id < :version_id_2::BIGINT
                      OR other.version_id = :version_id_3::BIGINT
                        AND other.step_id IN (
                          :step_id_2_1::BIGINT, :step_id_2_2::BIGINT, :step_id_2_3::BIGINT,
                          :step_id_2_4::BIGINT, :step_id_2_5::BIGINT, :step_id_2_6::BIGINT,
                          :step_id_2_7::BIGINT, :step_id_2_8::BIGINT, :step_id_2_9::BIGINT,
                          :step_id_2_10::BIGINT, :step_id_2_11::BIGINT, :step_id_2_12::BIGINT,
                          :step_id_2_13::BIGINT, :step_id_2_14::BIGINT, :step_id_2_15::BIGINT,
                          :step_id_2_16::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=22 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=1 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14
-- step_id_2_10=15 step_id_2_11=16 step_id_2_12=17 step_id_2_13=18 step_id_2_14=19 step_id_2_15=20
-- step_id_2_16=21

SELECT anon_2.anon_1
FROM (
  SELECT anon_3.anon_1 AS anon_1
  FROM (
    SELECT :param_1::INTEGER AS anon_1
    FROM arrival
    WHERE arrival.journey_id IN (:running_1::BIGINT) AND arrival.effective_at < :hour::BIGINT
    LIMIT :param_2::INTEGER
  ) AS anon_3
  UNION ALL
  SELECT anon_5.anon_4 AS anon_4
  FROM (
    SELECT :param_3::INTEGER AS anon_4
    FROM enrollment
    WHERE enrollment.outcome = 'inside'
      AND enrollment.due_at < :hour::BIGINT
      AND enrollment.effective_at < :hour::BIGINT
      AND enrollment.journey_id IN (:running_1::BIGINT)
      AND (enrollment.step_id NOT IN (NULL) OR (1 = 1))
    LIMIT :param_4::INTEGER
  ) AS anon_5
) AS anon_2;
-- param_1=1 param_2=1 param_3=1 param_4=1 running_1=5

SELECT draw.arm,
  count(*) AS count_1,
  sum(
    CASE
      WHEN (
        enrollment.outcome = 'converted' AND enrollment.left_at < :left_at_1::BIGINT
      ) THEN :param_1::INTEGER
      ELSE :param_2::INTEGER
    END
  ) AS sum_1
FROM draw
JOIN enrollment ON enrollment.id = draw.enrollment_id
WHERE draw.step_id = :step_id_1::BIGINT AND draw.at < :at_1::BIGINT AND enrollment.held_out IS false
GROUP BY draw.arm;
-- left_at_1=2026-03-09 09:00:00+00:00 param_1=1 param_2=0 step_id_1=22 at_1=2026-03-09 09:00:00+00:00

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
WHERE enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1::INTEGER AS anon_3
        FROM event AS unseen
        WHERE unseen.customer_id = enrollment.customer_id
          AND unseen.routed_at IS NULL
          AND unseen.effective_at <= CASE
            WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
            ELSE enrollment.effective_at
          END
        LIMIT :param_2::INTEGER
      ) IS NULL
  )
  AND (
    SELECT :param_3::INTEGER AS anon_4
    FROM arrival AS earlier
    WHERE earlier.customer_id = enrollment.customer_id
      AND earlier.journey_id + :journey_id_1::BIGINT IN (:running_1::BIGINT)
      AND (
        earlier.effective_at < CASE
          WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
          ELSE enrollment.effective_at
        END
          OR earlier.effective_at = CASE
            WHEN (enrollment.due_at > enrollment.effective_at) THEN enrollment.due_at
            ELSE enrollment.effective_at
          END
            AND NOT earlier.caused
      )
    LIMIT :param_4::INTEGER
  ) IS NULL
  AND (
    SELECT :param_5::INTEGER AS anon_5
    FROM enrollment AS other
    WHERE other.customer_id = enrollment.customer_id
      AND other.outcome = 'inside'
      AND other.journey_id + :journey_id_2::BIGINT IN (:running_1::BIGINT)
      AND (other.step_id NOT IN (NULL) OR (1 = 1))
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
              other.journey_id IN (NULL) AND (1 != 1)
                OR other.journey_id = :journey_id_3::BIGINT
                  AND (
                    other.version_id < :version_id_2::BIGINT
                      OR other.version_id = :version_id_3::BIGINT
                        AND other.step_id IN (
                          :step_id_2_1::BIGINT, :step_id_2_2::BIGINT, :step_id_2_3::BIGINT,
                          :step_id_2_4::BIGINT, :step_id_2_5::BIGINT, :step_id_2_6::BIGINT,
                          :step_id_2_7::BIGINT, :step_id_2_8::BIGINT, :step_id_2_9::BIGINT,
                          :step_id_2_10::BIGINT, :step_id_2_11::BIGINT, :step_id_2_12::BIGINT,
                          :step_id_2_13::BIGINT, :step_id_2_14::BIGINT, :step_id_2_15::BIGINT,
                          :step_id_2_16::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
  AND enrollment.due_at < :until::BIGINT
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=22 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14
-- step_id_2_10=15 step_id_2_11=16 step_id_2_12=17 step_id_2_13=18 step_id_2_14=19 step_id_2_15=20
-- step_id_2_16=21

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
SET branch=CASE
  WHEN (
    (
      (
        (
          ((:param_1::BIGINT * customer.draw + :param_2::BIGINT) % :param_3::BIGINT) * (
            (
              (:param_1::BIGINT * customer.draw + :param_2::BIGINT) % :param_3::BIGINT + :param_1::BIGINT
            ) % :param_3::BIGINT
          )
        ) % :param_3::BIGINT
      ) * :param_4::BIGINT
    ) / :param_3::BIGINT < :param_5::BIGINT
  ) THEN :param_6::INTEGER
  WHEN (
    (
      (
        (
          ((:param_1::BIGINT * customer.draw + :param_2::BIGINT) % :param_3::BIGINT) * (
            (
              (:param_1::BIGINT * customer.draw + :param_2::BIGINT) % :param_3::BIGINT + :param_1::BIGINT
            ) % :param_3::BIGINT
          )
        ) % :param_3::BIGINT
      ) * :param_4::BIGINT
    ) / :param_3::BIGINT < :param_7::BIGINT
  ) THEN :param_8::INTEGER
END
FROM customer
WHERE cohort.customer_id = customer.id AND cohort.note IS NULL;
-- param_1=249497494 param_2=2049926612 param_3=2147483647 param_4=10000 param_5=5000 param_6=0 param_7=10000
-- param_8=1

INSERT INTO draw (enrollment_id, step_id, visit, arm, at)
SELECT cohort.enrollment_id,
  :param_1::BIGINT AS anon_1,
  cohort.visit,
  CASE cohort.branch
    WHEN :param_2::INTEGER THEN :param_3::VARCHAR
    WHEN :param_4::INTEGER THEN :param_5::VARCHAR
    ELSE :param_6::VARCHAR
  END AS anon_2,
  cohort.effective_at
FROM cohort
WHERE cohort.note IS NULL
ON CONFLICT DO NOTHING;
-- param_1=22 param_2=0 param_3='a' param_4=1 param_5='b' param_6='none'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, detail)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id,
  :param_2::BIGINT AS anon_2,
  cohort.at,
  :param_3::VARCHAR AS anon_3,
  jsonb_build_object(
    :param_4::VARCHAR,
    CASE cohort.branch
      WHEN :param_5::INTEGER THEN :param_6::VARCHAR
      WHEN :param_7::INTEGER THEN :param_8::VARCHAR
      ELSE :param_9::VARCHAR
    END,
    :param_10::VARCHAR,
    CAST(:param_11::VARCHAR AS JSONB)
  ) AS jsonb_build_object_1
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2=22 param_3='branch' param_4='way' param_5=0 param_6='a' param_7=1 param_8='b'
-- param_9='none' param_10='shares' param_11='{"a": 0.5, "b": 0.5}'

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch = :branch_1::INTEGER);
-- step_id=23 deadline_at=None branch_1=0

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch = :branch_1::INTEGER);
-- step_id=24 deadline_at=None branch_1=1

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch IS NULL);
-- step_id=25 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=22
