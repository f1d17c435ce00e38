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
                          :step_id_2_13::BIGINT, :step_id_2_14::BIGINT, :step_id_2_15::BIGINT,
                          :step_id_2_16::BIGINT, :step_id_2_17::BIGINT, :step_id_2_18::BIGINT,
                          :step_id_2_19::BIGINT, :step_id_2_20::BIGINT, :step_id_2_21::BIGINT,
                          :step_id_2_22::BIGINT, :step_id_2_23::BIGINT
                        )
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=29 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7
-- step_id_2_3=8 step_id_2_4=9 step_id_2_5=10 step_id_2_6=11 step_id_2_7=12 step_id_2_8=13 step_id_2_9=14
-- step_id_2_10=15 step_id_2_11=16 step_id_2_12=17 step_id_2_13=18 step_id_2_14=19 step_id_2_15=20
-- step_id_2_16=21 step_id_2_17=22 step_id_2_18=23 step_id_2_19=24 step_id_2_20=25 step_id_2_21=26
-- step_id_2_22=27 step_id_2_23=28

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
WHERE cohort.skipping > :skipping_1::BIGINT AND cohort.note IS NULL;
-- note='passed' skipping_1=0

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id,
  :param_2::BIGINT AS anon_2,
  cohort.at,
  :param_3::VARCHAR AS anon_3,
  :param_4::VARCHAR AS anon_4
FROM cohort
WHERE cohort.note = :note_1::VARCHAR;
-- param_1=5 param_2=29 param_3='skipped' param_4='moment_passed' note_1='passed'

INSERT INTO message (
  journey_id, version_id, enrollment_id, step_id, customer_id, channel, template, category, basis, state,
  reason, queued_at, due_at, ready_at, send_by, priority, reserved_at, visit
)
SELECT :param_1::BIGINT AS anon_1,
  :param_2::BIGINT AS anon_2,
  cohort.enrollment_id,
  :param_3::BIGINT AS anon_3,
  cohort.customer_id,
  :param_4::VARCHAR AS anon_4,
  :param_5::VARCHAR AS anon_5,
  :param_6::VARCHAR AS anon_6,
  CAST(NULL AS TEXT) AS anon_7,
  CASE
    WHEN (
      CASE
        WHEN cohort.held_out THEN :param_7::VARCHAR
        WHEN (cohort.at + :param_8::BIGINT < :now::BIGINT) THEN :param_9::VARCHAR
        ELSE CAST(NULL AS TEXT)
      END IS NULL
    ) THEN :param_10::VARCHAR
    ELSE :param_11::VARCHAR
  END AS anon_8,
  CASE
    WHEN cohort.held_out THEN :param_7::VARCHAR
    WHEN (cohort.at + :param_8::BIGINT < :now::BIGINT) THEN :param_9::VARCHAR
    ELSE CAST(NULL AS TEXT)
  END AS anon_9,
  :now::BIGINT AS anon_10,
  cohort.at,
  cohort.at AS at__1,
  cohort.at + :param_8::BIGINT AS anon_11,
  :param_12::SMALLINT AS anon_12,
  CAST(NULL AS BIGINT) AS anon__1,
  cohort.visit
FROM cohort
WHERE cohort.note IS NULL
ON CONFLICT DO NOTHING;
-- param_1=5 param_2=5 param_3=29 param_4='webhook' param_5='https://api.example.com/orders'
-- param_6='transactional' param_7='held_out' param_8=10800000000 param_9='stale' param_10='queued'
-- param_11='refused' param_12=50

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id, message.step_id, cohort.at,
  CASE
    WHEN (message.queued_at < :now::BIGINT) THEN :param_2::VARCHAR
    WHEN (message.state = 'queued' AND message.reason = :reason_1::VARCHAR) THEN :param_3::VARCHAR
    WHEN (message.state = 'queued') THEN :param_4::VARCHAR
    ELSE :param_5::VARCHAR
  END AS anon_2,
  CASE WHEN (message.queued_at < :now::BIGINT) THEN :param_6::VARCHAR ELSE message.reason END AS anon_3,
  CASE
    WHEN (message.state = 'queued' AND message.reason = :reason_1::VARCHAR AND message.queued_at >= :now::BIGINT) THEN jsonb_build_object(
      :param_7::VARCHAR, message.id, :param_8::VARCHAR, message.channel, :param_9::VARCHAR, message.template,
      :param_10::VARCHAR, message.ready_at
    )
    ELSE jsonb_build_object(
      :param_11::VARCHAR, message.id, :param_12::VARCHAR, message.channel, :param_13::VARCHAR,
      message.template
    )
  END AS anon_4
FROM cohort
JOIN message ON message.enrollment_id = cohort.enrollment_id
  AND message.step_id = :step_id_1::BIGINT
  AND message.visit = cohort.visit
WHERE cohort.note IS NULL;
-- param_1=5 param_2='refused' reason_1='not_yet_reachable' param_3='held' param_4='queued' param_5='refused'
-- param_6='already_queued' param_7='message' param_8='channel' param_9='template' param_10='until'
-- param_11='message' param_12='channel' param_13='template' step_id_1=29

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort);
-- step_id=30 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=29
