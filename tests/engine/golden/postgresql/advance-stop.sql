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
                          :step_id_2_16::BIGINT, :step_id_2_17::BIGINT, :step_id_2_18::BIGINT,
                          :step_id_2_19::BIGINT, :step_id_2_20::BIGINT, :step_id_2_21::BIGINT,
                          :step_id_2_22::BIGINT, :step_id_2_23::BIGINT, :step_id_2_24::BIGINT,
                          :step_id_2_25::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=31 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=1 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14
-- step_id_2_10=15 step_id_2_11=16 step_id_2_12=17 step_id_2_13=18 step_id_2_14=19 step_id_2_15=20
-- step_id_2_16=21 step_id_2_17=22 step_id_2_18=23 step_id_2_19=24 step_id_2_20=25 step_id_2_21=26
-- step_id_2_22=27 step_id_2_23=28 step_id_2_24=29 step_id_2_25=30

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
                          :step_id_2_16::BIGINT, :step_id_2_17::BIGINT, :step_id_2_18::BIGINT,
                          :step_id_2_19::BIGINT, :step_id_2_20::BIGINT, :step_id_2_21::BIGINT,
                          :step_id_2_22::BIGINT, :step_id_2_23::BIGINT, :step_id_2_24::BIGINT,
                          :step_id_2_25::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
  AND enrollment.due_at < :until::BIGINT
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=31 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14
-- step_id_2_10=15 step_id_2_11=16 step_id_2_12=17 step_id_2_13=18 step_id_2_14=19 step_id_2_15=20
-- step_id_2_16=21 step_id_2_17=22 step_id_2_18=23 step_id_2_19=24 step_id_2_20=25 step_id_2_21=26
-- step_id_2_22=27 step_id_2_23=28 step_id_2_24=29 step_id_2_25=30

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
SET note=:note::VARCHAR
FROM (
  SELECT cohort.customer_id AS customer_id,
    CASE
      WHEN (
        CASE
          WHEN (
            jsonb_typeof(customer.attributes -> :param_1::VARCHAR) = :jsonb_typeof_1::VARCHAR
          ) THEN CAST(customer.attributes -> :param_1::VARCHAR AS BOOLEAN)
        END = :param_2
      ) THEN :param_3::INTEGER
    END AS branch,
    cohort.enrollment_id AS enrollment_id
  FROM cohort
  JOIN customer ON customer.id = cohort.customer_id
) AS asked
WHERE cohort.enrollment_id = asked.enrollment_id AND asked.branch IS NULL;
-- note='skip' param_1='vip' jsonb_typeof_1='boolean' param_2=True param_3=0

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id,
  :param_2::BIGINT AS anon_2,
  cohort.at,
  :param_3::VARCHAR AS anon_3
FROM cohort
WHERE cohort.note = :note_1::VARCHAR;
-- param_1=5 param_2=31 param_3='skipped' note_1='skip'

UPDATE enrollment
SET step_id=:step_id::BIGINT, outcome=:outcome::VARCHAR, left_at=enrollment.due_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.note IS NULL);
-- step_id=None outcome='finished'

INSERT INTO trace (customer_id, journey_id, enrollment_id, at, decision)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id, cohort.at,
  :param_2::VARCHAR AS anon_2
FROM cohort
WHERE cohort.note IS NULL;
-- param_1=5 param_2='finished'

INSERT INTO arrival (journey_id, customer_id, kind, at, effective_at, seq, caused)
SELECT DISTINCT watch.journey_id,
  touched.customer_id,
  :param_1::VARCHAR AS anon_1,
  touched.happened_at, touched.at, touched.seq, touched.caused
FROM (
  SELECT stays.customer_id AS customer_id,
    :param_2::VARCHAR AS name,
    stays.coalesce_1 AS happened_at,
    stays.coalesce_1 AS at,
    :param_3::BIGINT AS seq,
    true AS caused
  FROM (
    SELECT cohort.customer_id AS customer_id, coalesce(cohort.effective_at, cohort.at) AS coalesce_1
    FROM cohort
    WHERE cohort.note IS NULL
  ) AS stays
) AS touched
JOIN watch ON watch.name = touched.name
WHERE watch.inside IS false
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
-- param_1='touch' param_2='journey:steps' param_3=4611686018427387904

UPDATE enrollment
SET step_id=:step_id::BIGINT, outcome=:outcome::VARCHAR, left_at=enrollment.due_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.note = :note_1::VARCHAR);
-- step_id=None outcome='finished' note_1='skip'

INSERT INTO trace (customer_id, journey_id, enrollment_id, at, decision)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id, cohort.at,
  :param_2::VARCHAR AS anon_2
FROM cohort
WHERE cohort.note = :note_1::VARCHAR;
-- param_1=5 param_2='finished' note_1='skip'

INSERT INTO arrival (journey_id, customer_id, kind, at, effective_at, seq, caused)
SELECT DISTINCT watch.journey_id,
  touched.customer_id,
  :param_1::VARCHAR AS anon_1,
  touched.happened_at, touched.at, touched.seq, touched.caused
FROM (
  SELECT stays.customer_id AS customer_id,
    :param_2::VARCHAR AS name,
    stays.coalesce_1 AS happened_at,
    stays.coalesce_1 AS at,
    :param_3::BIGINT AS seq,
    true AS caused
  FROM (
    SELECT cohort.customer_id AS customer_id, coalesce(cohort.effective_at, cohort.at) AS coalesce_1
    FROM cohort
    WHERE cohort.note = :note_1::VARCHAR
  ) AS stays
) AS touched
JOIN watch ON watch.name = touched.name
WHERE watch.inside IS false
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
-- param_1='touch' param_2='journey:steps' param_3=4611686018427387904 note_1='skip'

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=31
