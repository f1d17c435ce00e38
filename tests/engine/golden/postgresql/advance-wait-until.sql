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
                          :step_id_2_4::BIGINT, :step_id_2_5::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=11 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10

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
SET deadline_at=until.due
FROM (
  SELECT chosen.key AS key,
    (
      SELECT CASE
        WHEN (chosen.wall - back.shift < back.utc_from) THEN back.utc_from ELSE chosen.wall - back.shift
      END AS anon_1
      FROM timezone_offset AS back
      WHERE back.zone = chosen.home AND back.wall_from <= chosen.wall
      ORDER BY back.wall_from DESC
      LIMIT :param_1::INTEGER
    ) AS due
  FROM (
    SELECT begun.key AS key,
      begun.home AS home,
      NULL AS instant,
      (
        begun.day + CASE (begun.day + :param_2::BIGINT) % :param_3::BIGINT
          WHEN :param_4::INTEGER THEN :param_5::INTEGER
          WHEN :param_6::INTEGER THEN :param_7::INTEGER
          WHEN :param_8::INTEGER THEN :param_9::INTEGER
          WHEN :param_10::INTEGER THEN :param_11::INTEGER
          WHEN :param_12::INTEGER THEN :param_13::INTEGER
          WHEN :param_14::INTEGER THEN :param_15::INTEGER
          WHEN :param_16::INTEGER THEN :param_17::INTEGER
        END
      ) * :param_18::BIGINT + :param_19::BIGINT AS wall
    FROM (
      SELECT today.key AS key,
        today.home AS home,
        today.wall / :param_20::BIGINT + CASE
          WHEN (
            (
              SELECT CASE
                WHEN (today.wall - back.shift < back.utc_from) THEN back.utc_from ELSE today.wall - back.shift
              END AS anon_2
              FROM timezone_offset AS back
              WHERE back.zone = today.home AND back.wall_from <= today.wall
              ORDER BY back.wall_from DESC
              LIMIT :param_21::INTEGER
            ) < today.instant
          ) THEN :param_22::INTEGER
          ELSE :param_23::INTEGER
        END AS day
      FROM (
        SELECT located.key AS key,
          located.home AS home,
          located.instant AS instant,
          (located.wall / :param_24::BIGINT) * :param_25::BIGINT + :param_26::BIGINT AS wall
        FROM (
          SELECT homes.key AS key,
            homes.home AS home,
            homes.instant AS instant,
            homes.instant + (
              SELECT there.shift
              FROM timezone_offset AS there
              WHERE there.zone = homes.home AND there.utc_from <= homes.instant
              ORDER BY there.utc_from DESC
              LIMIT :param_27::INTEGER
            ) AS wall
          FROM (
            SELECT waiting.enrollment_id AS key,
              waiting.at AS instant,
              coalesce(customer.timezone, :param_28::VARCHAR) AS home
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
          ) AS homes
        ) AS located
      ) AS today
    ) AS begun
  ) AS chosen
) AS until
WHERE cohort.enrollment_id = until.key;
-- param_1=1 param_2=3 param_3=7 param_4=0 param_5=1 param_6=1 param_7=0 param_8=2 param_9=1 param_10=3
-- param_11=0 param_12=4 param_13=4 param_14=5 param_15=3 param_16=6 param_17=2 param_18=86400000000
-- param_19=32400000000 param_20=86400000000 param_21=1 param_22=1 param_23=0 param_24=86400000000
-- param_25=86400000000 param_26=32400000000 param_27=1 param_28='Europe/Berlin'

UPDATE enrollment
SET due_at=CASE
  WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at
END,
  deadline_at=CASE WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at END
FROM cohort
WHERE enrollment.id = cohort.enrollment_id AND cohort.note IS NULL;

UPDATE enrollment
SET skipping=:skipping::BIGINT
FROM cohort
WHERE enrollment.id = cohort.enrollment_id
  AND cohort.skipping > :skipping_1::BIGINT
  AND cohort.skipping <= :skipping_2::BIGINT
  AND cohort.note IS NULL;
-- skipping=0 skipping_1=0 skipping_2=1

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, detail)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id,
  :param_2::BIGINT AS anon_2,
  cohort.at,
  CASE WHEN (cohort.deadline_at > cohort.at) THEN :param_3::VARCHAR ELSE :param_4::VARCHAR END AS anon_3,
  jsonb_build_object(
    :param_5::VARCHAR, CASE WHEN (cohort.deadline_at > cohort.at) THEN cohort.deadline_at ELSE cohort.at END
  ) AS jsonb_build_object_1
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2=11 param_3='waiting' param_4='at_once' param_5='until'

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.deadline_at IS NULL
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=11

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
                          :step_id_2_4::BIGINT, :step_id_2_5::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=11 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10
