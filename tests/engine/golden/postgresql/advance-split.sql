SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || :name, 0));

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
                          :step_id_2_13::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=19 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14
-- step_id_2_10=15 step_id_2_11=16 step_id_2_12=17 step_id_2_13=18

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
-- param_1=1316252940 param_2=1291851334 param_3=2147483647 param_4=3 param_5=1 param_6=0 param_7=3 param_8=1

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
-- param_1=19 param_2=0 param_3='a' param_4=1 param_5='b' param_6='none'

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
    END
  ) AS jsonb_build_object_1
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2=19 param_3='branch' param_4='way' param_5=0 param_6='a' param_7=1 param_8='b'
-- param_9='none'

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch = :branch_1::INTEGER);
-- step_id=20 deadline_at=None branch_1=0

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch = :branch_1::INTEGER);
-- step_id=21 deadline_at=None branch_1=1

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.branch IS NULL);
-- step_id=22 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=19
