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
  AND enrollment.deadline_at IS NULL
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
                          :step_id_2_4::BIGINT, :step_id_2_5::BIGINT, :step_id_2_6::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=12 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11

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

WITH moved AS MATERIALIZED (
  SELECT located.key AS key, located.home AS home, located.wall + :param_3::BIGINT AS wall
  FROM (
    SELECT waiting.enrollment_id AS key,
      coalesce(customer.timezone, :param_4::VARCHAR) AS home,
      CASE
        WHEN (
          CAST(
            EXTRACT(
              epoch
              FROM CAST(
                CASE
                  WHEN (
                    jsonb_typeof(customer.attributes -> :param_5::VARCHAR) = :jsonb_typeof_1::VARCHAR
                      AND ((customer.attributes ->> :param_5::VARCHAR) ~ :param_6::VARCHAR)
                  ) THEN customer.attributes ->> :param_5::VARCHAR
                END AS TIMESTAMP WITH TIME ZONE
              )
            ) AS BIGINT
          ) * :param_7::BIGINT < :param_8::BIGINT
        ) THEN :param_8::BIGINT
        WHEN (
          CAST(
            EXTRACT(
              epoch
              FROM CAST(
                CASE
                  WHEN (
                    jsonb_typeof(customer.attributes -> :param_5::VARCHAR) = :jsonb_typeof_1::VARCHAR
                      AND ((customer.attributes ->> :param_5::VARCHAR) ~ :param_6::VARCHAR)
                  ) THEN customer.attributes ->> :param_5::VARCHAR
                END AS TIMESTAMP WITH TIME ZONE
              )
            ) AS BIGINT
          ) * :param_7::BIGINT > :param_9::BIGINT
        ) THEN :param_9::BIGINT
        ELSE CAST(
          EXTRACT(
            epoch
            FROM CAST(
              CASE
                WHEN (
                  jsonb_typeof(customer.attributes -> :param_5::VARCHAR) = :jsonb_typeof_1::VARCHAR
                    AND ((customer.attributes ->> :param_5::VARCHAR) ~ :param_6::VARCHAR)
                ) THEN customer.attributes ->> :param_5::VARCHAR
              END AS TIMESTAMP WITH TIME ZONE
            )
          ) AS BIGINT
        ) * :param_7::BIGINT
      END AS wall
    FROM (
      SELECT cohort.enrollment_id AS enrollment_id,
        cohort.customer_id AS customer_id,
        cohort.event_id AS event_id,
        cohort.held_out AS held_out,
        cohort.entered_at AS entered_at,
        cohort.arrived_at AS arrived_at,
        cohort.at AS at,
        cohort.deadline_at AS deadline_at,
        cohort.effective_at AS effective_at,
        cohort.entered_effective_at AS entered_effective_at,
        cohort.entered_seq AS entered_seq,
        cohort.arrived_effective_at AS arrived_effective_at,
        cohort.visit AS visit,
        cohort.skipping AS skipping,
        cohort.branch AS branch,
        cohort.note AS note,
        cohort.stands_until AS stands_until
      FROM cohort
      WHERE cohort.note IS NULL
    ) AS waiting
    JOIN customer ON customer.id = waiting.customer_id
  ) AS located
)
UPDATE cohort
SET deadline_at=until.due
FROM (
  SELECT moved.key AS key,
    (
      SELECT CASE
        WHEN (moved.wall - back.shift < back.utc_from) THEN back.utc_from ELSE moved.wall - back.shift
      END AS anon_1
      FROM timezone_offset AS back
      WHERE back.zone = moved.home AND back.wall_from <= moved.wall
      ORDER BY back.wall_from DESC
      LIMIT :param_1::INTEGER
    ) + :param_2::BIGINT AS due
  FROM moved
) AS until
WHERE cohort.enrollment_id = until.key;
-- param_1=1 param_2=0 param_3=-172800000000 param_4='Europe/Berlin' param_5='trial_ends'
-- jsonb_typeof_1='string'
-- param_6='^(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)$'
-- param_7=1000000 param_8=-49544438400000000 param_9=240779520000000000

UPDATE enrollment
SET due_at=CASE
  WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at
END,
  deadline_at=CASE WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at END
FROM cohort
WHERE enrollment.id = cohort.enrollment_id AND cohort.note IS NULL;

UPDATE enrollment
SET skipping=CASE
  WHEN (cohort.deadline_at IS NULL OR cohort.deadline_at < cohort.at) THEN :param_1::INTEGER
  ELSE :param_2::INTEGER
END
FROM cohort
WHERE enrollment.id = cohort.enrollment_id AND cohort.note IS NULL;
-- param_1=2 param_2=0

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id,
  :param_2::BIGINT AS anon_2,
  cohort.at,
  CASE WHEN (cohort.deadline_at > cohort.at) THEN :param_3::VARCHAR ELSE :param_4::VARCHAR END AS anon_3,
  CASE
    WHEN (cohort.deadline_at IS NULL OR cohort.deadline_at < cohort.at) THEN :param_5::VARCHAR
  END AS anon_4,
  jsonb_build_object(
    :param_6::VARCHAR, CASE WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at END
  ) AS jsonb_build_object_1
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2=12 param_3='waiting' param_4='at_once' param_5='moment_passed' param_6='until'

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.deadline_at IS NULL
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=12

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
  AND enrollment.deadline_at IS NOT NULL
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
                          :step_id_2_4::BIGINT, :step_id_2_5::BIGINT, :step_id_2_6::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=12 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11
