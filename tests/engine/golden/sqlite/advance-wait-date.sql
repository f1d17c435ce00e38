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
  AND enrollment.deadline_at IS NULL
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
                          :step_id_2_1, :step_id_2_2, :step_id_2_3, :step_id_2_4, :step_id_2_5, :step_id_2_6
                        )
                  )
            )
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_10 OFFSET :param_11;
-- version_id_1=5 step_id_1=12 param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0
-- param_7=1 journey_id_2=0 journey_id_3=5 version_id_2=5 version_id_3=5 param_8=1 param_9=0 param_10=5000
-- param_11=0 running_1=5 step_id_2_1=6 step_id_2_2=7 step_id_2_3=8 step_id_2_4=9 step_id_2_5=10
-- step_id_2_6=11

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
  SELECT located."key" AS "key", located.home AS home, located.wall + :param_4 AS wall
  FROM (
    SELECT waiting.enrollment_id AS "key",
      coalesce(customer.timezone, :param_5) AS home,
      CASE
        WHEN (
          CAST(
            strftime(
              :strftime_1,
              CASE
                WHEN (
                  json_type(customer.attributes, :param_6) = :json_type_1
                    AND strftime(
                      :strftime_2, json_extract(customer.attributes, :param_6), :strftime_3
                    ) = json_extract(customer.attributes, :param_6)
                    AND json_extract(customer.attributes, :param_6) >= :json_extract_1
                ) THEN json_extract(customer.attributes, :param_6)
              END
            ) AS BIGINT
          ) * :param_7 < :param_8
        ) THEN :param_8
        WHEN (
          CAST(
            strftime(
              :strftime_1,
              CASE
                WHEN (
                  json_type(customer.attributes, :param_6) = :json_type_1
                    AND strftime(
                      :strftime_2, json_extract(customer.attributes, :param_6), :strftime_3
                    ) = json_extract(customer.attributes, :param_6)
                    AND json_extract(customer.attributes, :param_6) >= :json_extract_1
                ) THEN json_extract(customer.attributes, :param_6)
              END
            ) AS BIGINT
          ) * :param_7 > :param_9
        ) THEN :param_9
        ELSE CAST(
          strftime(
            :strftime_1,
            CASE
              WHEN (
                json_type(customer.attributes, :param_6) = :json_type_1
                  AND strftime(
                    :strftime_2, json_extract(customer.attributes, :param_6), :strftime_3
                  ) = json_extract(customer.attributes, :param_6)
                  AND json_extract(customer.attributes, :param_6) >= :json_extract_1
              ) THEN json_extract(customer.attributes, :param_6)
            END
          ) AS BIGINT
        ) * :param_7
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
  SELECT moved."key" AS "key",
    (
      SELECT CASE
        WHEN (moved.wall - back.shift < back.utc_from) THEN back.utc_from ELSE moved.wall - back.shift
      END AS anon_1
      FROM timezone_offset AS back
      WHERE back.zone = moved.home AND back.wall_from <= moved.wall
      ORDER BY back.wall_from DESC
      LIMIT :param_1 OFFSET :param_2
    ) + :param_3 AS due
  FROM moved
) AS until
WHERE cohort.enrollment_id = until."key";
-- param_1=1 param_2=0 param_3=0 param_4=-172800000000 param_5='Europe/Berlin' strftime_1='%s'
-- param_6='$."trial_ends"' json_type_1='text' strftime_2='%Y-%m-%d' strftime_3='+0 days'
-- json_extract_1='0001' param_7=1000000 param_8=-49544438400000000 param_9=240779520000000000

UPDATE enrollment
SET due_at=CASE
  WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at
END,
  deadline_at=CASE WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at END
FROM cohort
WHERE enrollment.id = cohort.enrollment_id AND cohort.note IS NULL;

UPDATE enrollment
SET skipping=CASE
  WHEN (cohort.deadline_at IS NULL OR cohort.deadline_at < cohort.at) THEN :param_1 ELSE :param_2
END
FROM cohort
WHERE enrollment.id = cohort.enrollment_id AND cohort.note IS NULL;
-- param_1=2 param_2=0

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT cohort.customer_id,
  :param_1 AS anon_1,
  cohort.enrollment_id,
  :param_2 AS anon_2,
  cohort.at,
  CASE WHEN (cohort.deadline_at > cohort.at) THEN :param_3 ELSE :param_4 END AS anon_3,
  CASE WHEN (cohort.deadline_at IS NULL OR cohort.deadline_at < cohort.at) THEN :param_5 END AS anon_4,
  json_object(
    :param_6, CASE WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at END
  ) AS json_object_1
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2=12 param_3='waiting' param_4='at_once' param_5='moment_passed' param_6='until'

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
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
WHERE enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
  AND enrollment.deadline_at IS NOT NULL
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
                          :step_id_2_1, :step_id_2_2, :step_id_2_3, :step_id_2_4, :step_id_2_5, :step_id_2_6
                        )
                  )
            )
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_10 OFFSET :param_11;
-- version_id_1=5 step_id_1=12 param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0
-- param_7=1 journey_id_2=0 journey_id_3=5 version_id_2=5 version_id_3=5 param_8=1 param_9=0 param_10=5000
-- param_11=0 running_1=5 step_id_2_1=6 step_id_2_2=7 step_id_2_3=8 step_id_2_4=9 step_id_2_5=10
-- step_id_2_6=11
