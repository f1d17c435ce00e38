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
                        AND other.step_id IN (:step_id_2_1::BIGINT, :step_id_2_2::BIGINT)
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=8 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6 step_id_2_2=7

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
-- param_1=5 param_2=8 param_3='skipped' param_4='moment_passed' note_1='passed'

WITH weighed AS MATERIALIZED (
  SELECT offers.enrollment_id AS enrollment_id,
    offers.customer_id AS customer_id,
    offers.event_id AS event_id,
    offers.held_out AS held_out,
    offers.entered_at AS entered_at,
    offers.arrived_at AS arrived_at,
    offers.at AS at,
    offers.deadline_at AS deadline_at,
    offers.effective_at AS effective_at,
    offers.entered_effective_at AS entered_effective_at,
    offers.entered_seq AS entered_seq,
    offers.arrived_effective_at AS arrived_effective_at,
    offers.visit AS visit,
    offers.skipping AS skipping,
    offers.branch AS branch,
    offers.note AS note,
    offers.stands_until AS stands_until,
    offers.preferred AS preferred,
    offers.reason_0 AS reason_0,
    offers.reason_1 AS reason_1,
    CASE WHEN (offers.reason_0 IS NULL) THEN :param_17::INTEGER ELSE :param_18::INTEGER END AS number,
    offers.at + :param_19::BIGINT AS send_by,
    CASE
      WHEN (
        offers.reason_0 IN (:reason_0_1_1::VARCHAR, :reason_0_1_2::VARCHAR)
          AND offers.reason_1 IN (:reason_1_1_1::VARCHAR, :reason_1_1_2::VARCHAR)
          AND offers.at + :param_19::BIGINT > offers.effective_at
          AND (
            (
              EXISTS (
                SELECT *
                FROM event
                WHERE event.id = offers.event_id
                  AND event.effective_at > offers.effective_at - :param_20::BIGINT
              )
            )
              OR (
                EXISTS (
                  SELECT *
                  FROM event
                  WHERE event.name = :name_1::VARCHAR
                    AND event.customer_id = offers.customer_id
                    AND event.effective_at > offers.effective_at - :param_20::BIGINT
                )
              )
          )
      ) THEN CASE
        WHEN (
          offers.effective_at + :param_20::BIGINT < offers.at + :param_19::BIGINT
        ) THEN offers.effective_at + :param_20::BIGINT
        ELSE offers.at + :param_19::BIGINT
      END
    END AS held_until,
    CASE CASE WHEN (offers.reason_0 IS NULL) THEN :param_17::INTEGER ELSE :param_18::INTEGER END
      WHEN :param_21::INTEGER THEN offers.reason_0
    END AS against
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
      cohort.stands_until AS stands_until,
      CAST(customer.attributes ->> :attributes_1::TEXT AS VARCHAR) AS preferred,
      CASE
        WHEN (customer.email IS NULL) THEN :param_22::VARCHAR
        WHEN (
          listed_0.id IS NOT NULL
            AND (:param_23::VARCHAR != :param_24::VARCHAR OR listed_0.purpose = :purpose_1::VARCHAR)
        ) THEN :param_25::VARCHAR
        WHEN (
          :param_23::VARCHAR != :param_24::VARCHAR AND (agreed_0.given IS false OR left_0.address IS NOT NULL)
        ) THEN :param_26::VARCHAR
        WHEN (:param_23::VARCHAR != :param_24::VARCHAR AND agreed_0.given IS NULL) THEN :param_27::VARCHAR
        WHEN (
          :param_23::VARCHAR != :param_24::VARCHAR
            AND :param_28::VARCHAR != :param_29::VARCHAR
            AND agreed_0.basis != :basis_1::VARCHAR
        ) THEN :param_30::VARCHAR
        ELSE CAST(NULL AS TEXT)
      END AS reason_0,
      CASE
        WHEN (customer.push_token IS NULL) THEN :param_31::VARCHAR
        WHEN (
          listed_1.id IS NOT NULL
            AND (:param_32::VARCHAR != :param_33::VARCHAR OR listed_1.purpose = :purpose_2::VARCHAR)
        ) THEN :param_34::VARCHAR
        WHEN (
          :param_32::VARCHAR != :param_33::VARCHAR AND (agreed_1.given IS false OR left_1.address IS NOT NULL)
        ) THEN :param_35::VARCHAR
        WHEN (:param_32::VARCHAR != :param_33::VARCHAR AND agreed_1.given IS NULL) THEN :param_36::VARCHAR
        WHEN (
          :param_32::VARCHAR != :param_33::VARCHAR
            AND :param_28::VARCHAR != :param_37::VARCHAR
            AND agreed_1.basis != :basis_2::VARCHAR
        ) THEN :param_38::VARCHAR
        ELSE CAST(NULL AS TEXT)
      END AS reason_1
    FROM cohort
    JOIN customer ON customer.id = cohort.customer_id
    LEFT OUTER JOIN consent AS agreed_0 ON agreed_0.customer_id = customer.id
      AND agreed_0.channel = :channel_1::VARCHAR
    LEFT OUTER JOIN opt_out AS left_0 ON left_0.channel = :channel_2::VARCHAR
      AND left_0.address = customer.email_key
      AND left_0.since <= cohort.effective_at
    LEFT OUTER JOIN suppression AS listed_0 ON listed_0.channel = :channel_3::VARCHAR
      AND listed_0.address = customer.email_key
      AND listed_0.since <= cohort.effective_at
    LEFT OUTER JOIN consent AS agreed_1 ON agreed_1.customer_id = customer.id
      AND agreed_1.channel = :channel_4::VARCHAR
    LEFT OUTER JOIN opt_out AS left_1 ON left_1.channel = :channel_5::VARCHAR
      AND left_1.address = customer.push_key
      AND left_1.since <= cohort.effective_at
    LEFT OUTER JOIN suppression AS listed_1 ON listed_1.channel = :channel_6::VARCHAR
      AND listed_1.address = customer.push_key
      AND listed_1.since <= cohort.effective_at
    WHERE cohort.note IS NULL
  ) AS offers
),
found AS MATERIALIZED (
  SELECT weighed.enrollment_id AS enrollment_id,
    weighed.customer_id AS customer_id,
    weighed.event_id AS event_id,
    weighed.held_out AS held_out,
    weighed.entered_at AS entered_at,
    weighed.arrived_at AS arrived_at,
    weighed.at AS at,
    weighed.deadline_at AS deadline_at,
    weighed.effective_at AS effective_at,
    weighed.entered_effective_at AS entered_effective_at,
    weighed.entered_seq AS entered_seq,
    weighed.arrived_effective_at AS arrived_effective_at,
    weighed.visit AS visit,
    weighed.skipping AS skipping,
    weighed.branch AS branch,
    weighed.note AS note,
    weighed.stands_until AS stands_until,
    weighed.preferred AS preferred,
    weighed.reason_0 AS reason_0,
    weighed.reason_1 AS reason_1,
    weighed.number AS number,
    weighed.send_by AS send_by,
    weighed.held_until AS held_until,
    weighed.against AS against,
    CASE
      WHEN (weighed.against IS NOT NULL AND weighed.held_until IS NOT NULL) THEN :param_14::VARCHAR
      WHEN (weighed.against IS NOT NULL) THEN weighed.against
      WHEN weighed.held_out THEN :param_15::VARCHAR
      WHEN (weighed.send_by < CAST(:now::BIGINT AS BIGINT)) THEN :param_16::VARCHAR
      ELSE CAST(NULL AS TEXT)
    END AS reason
  FROM weighed
)
INSERT INTO message (
  journey_id, version_id, enrollment_id, step_id, customer_id, channel, template, category, basis, state,
  reason, queued_at, due_at, ready_at, send_by, priority, reserved_at, visit
)
SELECT :param_1::BIGINT AS anon_1,
  :param_2::BIGINT AS anon_2,
  found.enrollment_id,
  :param_3::BIGINT AS anon_3,
  found.customer_id,
  CASE found.number WHEN :param_4::INTEGER THEN :param_5::VARCHAR END AS anon_4,
  :param_6::VARCHAR AS anon_5,
  CASE found.number WHEN :param_7::INTEGER THEN :param_8::VARCHAR END AS anon_6,
  :param_9::VARCHAR AS anon_7,
  CASE
    WHEN (found.reason IS NULL OR found.reason = :reason_1::VARCHAR) THEN :param_10::VARCHAR
    ELSE :param_11::VARCHAR
  END AS anon_8,
  found.reason,
  :now::BIGINT AS anon_9,
  found.at,
  CASE WHEN (found.reason = :reason_1::VARCHAR) THEN found.held_until ELSE found.at END AS anon_10,
  found.send_by,
  :param_12::SMALLINT AS anon_11,
  CASE
    WHEN (
      found.reason IS NULL
        AND CASE found.number WHEN :param_7::INTEGER THEN :param_8::VARCHAR END != :param_13::VARCHAR
    ) THEN :now::BIGINT
    ELSE CAST(NULL AS BIGINT)
  END AS anon_12,
  found.visit
FROM found
WHERE true
ON CONFLICT DO NOTHING;
-- param_1=5 param_2=5 param_3=8 param_4=0 param_5='email' param_6='hello' param_7=0 param_8='relational'
-- param_9='existing_customer' reason_1='not_yet_reachable' param_10='queued' param_11='refused' param_12=50
-- param_13='transactional' param_14='not_yet_reachable' param_15='held_out' param_16='stale' param_17=0
-- param_18=0 param_19=86400000000 param_20=300000000 name_1='customer.created' param_21=0
-- attributes_1='preferred_channel' param_22='no_address' param_23='relational' param_24='transactional'
-- purpose_1='all' param_25='suppressed' param_26='unsubscribed' param_27='no_consent'
-- param_28='existing_customer' param_29='existing_customer' basis_1='consent' param_30='no_consent'
-- param_31='no_address' param_32='relational' param_33='transactional' purpose_2='all' param_34='suppressed'
-- param_35='unsubscribed' param_36='no_consent' param_37='existing_customer' basis_2='consent'
-- param_38='no_consent' channel_1='email' channel_2='email' channel_3='email' channel_4='push'
-- channel_5='push' channel_6='push' reason_0_1_1='no_address' reason_0_1_2='no_consent'
-- reason_1_1_1='no_address' reason_1_1_2='no_consent'

WITH weighed AS MATERIALIZED (
  SELECT offers.enrollment_id AS enrollment_id,
    offers.customer_id AS customer_id,
    offers.event_id AS event_id,
    offers.held_out AS held_out,
    offers.entered_at AS entered_at,
    offers.arrived_at AS arrived_at,
    offers.at AS at,
    offers.deadline_at AS deadline_at,
    offers.effective_at AS effective_at,
    offers.entered_effective_at AS entered_effective_at,
    offers.entered_seq AS entered_seq,
    offers.arrived_effective_at AS arrived_effective_at,
    offers.visit AS visit,
    offers.skipping AS skipping,
    offers.branch AS branch,
    offers.note AS note,
    offers.stands_until AS stands_until,
    offers.preferred AS preferred,
    offers.reason_0 AS reason_0,
    offers.reason_1 AS reason_1,
    CASE WHEN (offers.reason_1 IS NULL) THEN :param_17::INTEGER ELSE :param_18::INTEGER END AS number,
    offers.at + :param_19::BIGINT AS send_by,
    CASE
      WHEN (
        offers.reason_0 IN (:reason_0_1_1::VARCHAR, :reason_0_1_2::VARCHAR)
          AND offers.reason_1 IN (:reason_1_1_1::VARCHAR, :reason_1_1_2::VARCHAR)
          AND offers.at + :param_19::BIGINT > offers.effective_at
          AND (
            (
              EXISTS (
                SELECT *
                FROM event
                WHERE event.id = offers.event_id
                  AND event.effective_at > offers.effective_at - :param_20::BIGINT
              )
            )
              OR (
                EXISTS (
                  SELECT *
                  FROM event
                  WHERE event.name = :name_1::VARCHAR
                    AND event.customer_id = offers.customer_id
                    AND event.effective_at > offers.effective_at - :param_20::BIGINT
                )
              )
          )
      ) THEN CASE
        WHEN (
          offers.effective_at + :param_20::BIGINT < offers.at + :param_19::BIGINT
        ) THEN offers.effective_at + :param_20::BIGINT
        ELSE offers.at + :param_19::BIGINT
      END
    END AS held_until,
    CASE CASE WHEN (offers.reason_1 IS NULL) THEN :param_17::INTEGER ELSE :param_18::INTEGER END
      WHEN :param_21::INTEGER THEN offers.reason_1
    END AS against
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
      cohort.stands_until AS stands_until,
      CAST(customer.attributes ->> :attributes_1::TEXT AS VARCHAR) AS preferred,
      CASE
        WHEN (customer.email IS NULL) THEN :param_22::VARCHAR
        WHEN (
          listed_0.id IS NOT NULL
            AND (:param_23::VARCHAR != :param_24::VARCHAR OR listed_0.purpose = :purpose_1::VARCHAR)
        ) THEN :param_25::VARCHAR
        WHEN (
          :param_23::VARCHAR != :param_24::VARCHAR AND (agreed_0.given IS false OR left_0.address IS NOT NULL)
        ) THEN :param_26::VARCHAR
        WHEN (:param_23::VARCHAR != :param_24::VARCHAR AND agreed_0.given IS NULL) THEN :param_27::VARCHAR
        WHEN (
          :param_23::VARCHAR != :param_24::VARCHAR
            AND :param_28::VARCHAR != :param_29::VARCHAR
            AND agreed_0.basis != :basis_1::VARCHAR
        ) THEN :param_30::VARCHAR
        ELSE CAST(NULL AS TEXT)
      END AS reason_0,
      CASE
        WHEN (customer.push_token IS NULL) THEN :param_31::VARCHAR
        WHEN (
          listed_1.id IS NOT NULL
            AND (:param_32::VARCHAR != :param_33::VARCHAR OR listed_1.purpose = :purpose_2::VARCHAR)
        ) THEN :param_34::VARCHAR
        WHEN (
          :param_32::VARCHAR != :param_33::VARCHAR AND (agreed_1.given IS false OR left_1.address IS NOT NULL)
        ) THEN :param_35::VARCHAR
        WHEN (:param_32::VARCHAR != :param_33::VARCHAR AND agreed_1.given IS NULL) THEN :param_36::VARCHAR
        WHEN (
          :param_32::VARCHAR != :param_33::VARCHAR
            AND :param_28::VARCHAR != :param_37::VARCHAR
            AND agreed_1.basis != :basis_2::VARCHAR
        ) THEN :param_38::VARCHAR
        ELSE CAST(NULL AS TEXT)
      END AS reason_1
    FROM cohort
    JOIN customer ON customer.id = cohort.customer_id
    LEFT OUTER JOIN consent AS agreed_0 ON agreed_0.customer_id = customer.id
      AND agreed_0.channel = :channel_1::VARCHAR
    LEFT OUTER JOIN opt_out AS left_0 ON left_0.channel = :channel_2::VARCHAR
      AND left_0.address = customer.email_key
      AND left_0.since <= cohort.effective_at
    LEFT OUTER JOIN suppression AS listed_0 ON listed_0.channel = :channel_3::VARCHAR
      AND listed_0.address = customer.email_key
      AND listed_0.since <= cohort.effective_at
    LEFT OUTER JOIN consent AS agreed_1 ON agreed_1.customer_id = customer.id
      AND agreed_1.channel = :channel_4::VARCHAR
    LEFT OUTER JOIN opt_out AS left_1 ON left_1.channel = :channel_5::VARCHAR
      AND left_1.address = customer.push_key
      AND left_1.since <= cohort.effective_at
    LEFT OUTER JOIN suppression AS listed_1 ON listed_1.channel = :channel_6::VARCHAR
      AND listed_1.address = customer.push_key
      AND listed_1.since <= cohort.effective_at
    WHERE cohort.note IS NULL
  ) AS offers
),
found AS MATERIALIZED (
  SELECT weighed.enrollment_id AS enrollment_id,
    weighed.customer_id AS customer_id,
    weighed.event_id AS event_id,
    weighed.held_out AS held_out,
    weighed.entered_at AS entered_at,
    weighed.arrived_at AS arrived_at,
    weighed.at AS at,
    weighed.deadline_at AS deadline_at,
    weighed.effective_at AS effective_at,
    weighed.entered_effective_at AS entered_effective_at,
    weighed.entered_seq AS entered_seq,
    weighed.arrived_effective_at AS arrived_effective_at,
    weighed.visit AS visit,
    weighed.skipping AS skipping,
    weighed.branch AS branch,
    weighed.note AS note,
    weighed.stands_until AS stands_until,
    weighed.preferred AS preferred,
    weighed.reason_0 AS reason_0,
    weighed.reason_1 AS reason_1,
    weighed.number AS number,
    weighed.send_by AS send_by,
    weighed.held_until AS held_until,
    weighed.against AS against,
    CASE
      WHEN (weighed.against IS NOT NULL AND weighed.held_until IS NOT NULL) THEN :param_14::VARCHAR
      WHEN (weighed.against IS NOT NULL) THEN weighed.against
      WHEN weighed.held_out THEN :param_15::VARCHAR
      WHEN (weighed.send_by < CAST(:now::BIGINT AS BIGINT)) THEN :param_16::VARCHAR
      ELSE CAST(NULL AS TEXT)
    END AS reason
  FROM weighed
)
INSERT INTO message (
  journey_id, version_id, enrollment_id, step_id, customer_id, channel, template, category, basis, state,
  reason, queued_at, due_at, ready_at, send_by, priority, reserved_at, visit
)
SELECT :param_1::BIGINT AS anon_1,
  :param_2::BIGINT AS anon_2,
  found.enrollment_id,
  :param_3::BIGINT AS anon_3,
  found.customer_id,
  CASE found.number WHEN :param_4::INTEGER THEN :param_5::VARCHAR END AS anon_4,
  :param_6::VARCHAR AS anon_5,
  CASE found.number WHEN :param_7::INTEGER THEN :param_8::VARCHAR END AS anon_6,
  :param_9::VARCHAR AS anon_7,
  CASE
    WHEN (found.reason IS NULL OR found.reason = :reason_1::VARCHAR) THEN :param_10::VARCHAR
    ELSE :param_11::VARCHAR
  END AS anon_8,
  found.reason,
  :now::BIGINT AS anon_9,
  found.at,
  CASE WHEN (found.reason = :reason_1::VARCHAR) THEN found.held_until ELSE found.at END AS anon_10,
  found.send_by,
  :param_12::SMALLINT AS anon_11,
  CASE
    WHEN (
      found.reason IS NULL
        AND CASE found.number WHEN :param_7::INTEGER THEN :param_8::VARCHAR END != :param_13::VARCHAR
    ) THEN :now::BIGINT
    ELSE CAST(NULL AS BIGINT)
  END AS anon_12,
  found.visit
FROM found
WHERE true
ON CONFLICT DO NOTHING;
-- param_1=5 param_2=5 param_3=8 param_4=1 param_5='push' param_6='hello' param_7=1 param_8='relational'
-- param_9='existing_customer' reason_1='not_yet_reachable' param_10='queued' param_11='refused' param_12=50
-- param_13='transactional' param_14='not_yet_reachable' param_15='held_out' param_16='stale' param_17=1
-- param_18=1 param_19=86400000000 param_20=300000000 name_1='customer.created' param_21=1
-- attributes_1='preferred_channel' param_22='no_address' param_23='relational' param_24='transactional'
-- purpose_1='all' param_25='suppressed' param_26='unsubscribed' param_27='no_consent'
-- param_28='existing_customer' param_29='existing_customer' basis_1='consent' param_30='no_consent'
-- param_31='no_address' param_32='relational' param_33='transactional' purpose_2='all' param_34='suppressed'
-- param_35='unsubscribed' param_36='no_consent' param_37='existing_customer' basis_2='consent'
-- param_38='no_consent' channel_1='email' channel_2='email' channel_3='email' channel_4='push'
-- channel_5='push' channel_6='push' reason_0_1_1='no_address' reason_0_1_2='no_consent'
-- reason_1_1_1='no_address' reason_1_1_2='no_consent'

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
-- param_11='message' param_12='channel' param_13='template' step_id_1=8

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort);
-- step_id=9 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=8
