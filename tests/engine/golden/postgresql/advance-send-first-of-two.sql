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
                      OR other.version_id = :version_id_3::BIGINT AND other.step_id IN (:step_id_2_1::BIGINT)
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY enrollment.due_at
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=7 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=1 running_1=5 step_id_2_1=6

DELETE FROM cohort;

INSERT INTO cohort (
  enrollment_id, customer_id, event_id, held_out, entered_at, arrived_at, at, deadline_at, effective_at,
  entered_effective_at, entered_seq, arrived_effective_at, visit
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
  enrollment.visit
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
                      OR other.version_id = :version_id_3::BIGINT AND other.step_id IN (:step_id_2_1::BIGINT)
                  )
            )
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
  AND enrollment.due_at < :until::BIGINT
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_7::INTEGER;
-- version_id_1=5 step_id_1=7 param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0
-- journey_id_3=5 version_id_2=5 version_id_3=5 param_6=1 param_7=5000 running_1=5 step_id_2_1=6

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
    CASE WHEN (fact_1.n0 IS NOT NULL AND fact_2.n0 IS NULL) THEN :param_1::INTEGER END AS branch,
    cohort.enrollment_id AS enrollment_id
  FROM cohort
  LEFT OUTER JOIN (
    SELECT stay.customer_id AS customer_id, stay.enrollment_id AS enrollment_id, consent.since AS n0
    FROM (
      SELECT cohort.customer_id AS customer_id,
        cohort.at AS at,
        cohort.effective_at AS effective_at,
        cohort.enrollment_id AS enrollment_id
      FROM cohort
    ) AS stay
    JOIN consent ON consent.customer_id = stay.customer_id
    WHERE consent.channel = :param_2::VARCHAR AND consent.given IS true AND consent.since <= stay.effective_at
  ) AS fact_1 ON fact_1.enrollment_id = cohort.enrollment_id
  LEFT OUTER JOIN (
    SELECT stay.customer_id AS customer_id, stay.enrollment_id AS enrollment_id, opt_out.since AS n0
    FROM (
      SELECT cohort.customer_id AS customer_id,
        cohort.at AS at,
        cohort.effective_at AS effective_at,
        cohort.enrollment_id AS enrollment_id
      FROM cohort
    ) AS stay
    JOIN (
      customer JOIN opt_out ON opt_out.channel = :channel_1::VARCHAR AND opt_out.address = customer.phone
    ) ON customer.id = stay.customer_id
    WHERE opt_out.since <= stay.effective_at
  ) AS fact_2 ON fact_2.enrollment_id = cohort.enrollment_id
) AS asked
WHERE cohort.enrollment_id = asked.enrollment_id AND asked.branch IS NULL;
-- note='skip' param_1=0 param_2='sms' channel_1='sms'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id,
  :param_2::BIGINT AS anon_2,
  cohort.at,
  :param_3::VARCHAR AS anon_3
FROM cohort
WHERE cohort.note = :note_1::VARCHAR;
-- param_1=5 param_2=7 param_3='skipped' note_1='skip'

INSERT INTO message (
  journey_id, version_id, enrollment_id, step_id, customer_id, channel, template, category, basis, state,
  reason, queued_at, due_at, ready_at, send_by, priority, reserved_at, visit
)
SELECT :param_1::BIGINT AS anon_1,
  :param_2::BIGINT AS anon_2,
  offers.enrollment_id,
  :param_3::BIGINT AS anon_3,
  offers.customer_id,
  CASE CASE WHEN (offers.preferred = :preferred_1::VARCHAR AND offers.reason_0 IS NULL) THEN :param_4::INTEGER WHEN (offers.preferred = :preferred_2::VARCHAR AND offers.reason_1 IS NULL) THEN :param_5::INTEGER WHEN (offers.reason_0 IS NULL) THEN :param_6::INTEGER WHEN (offers.reason_1 IS NULL) THEN :param_7::INTEGER ELSE :param_8::INTEGER END
    WHEN :param_9::INTEGER THEN :param_10::VARCHAR WHEN :param_11::INTEGER THEN :param_12::VARCHAR
  END AS anon_4,
  :param_13::VARCHAR AS anon_5,
  CASE CASE WHEN (offers.preferred = :preferred_1::VARCHAR AND offers.reason_0 IS NULL) THEN :param_4::INTEGER WHEN (offers.preferred = :preferred_2::VARCHAR AND offers.reason_1 IS NULL) THEN :param_5::INTEGER WHEN (offers.reason_0 IS NULL) THEN :param_6::INTEGER WHEN (offers.reason_1 IS NULL) THEN :param_7::INTEGER ELSE :param_8::INTEGER END
    WHEN :param_14::INTEGER THEN :param_15::VARCHAR WHEN :param_16::INTEGER THEN :param_17::VARCHAR
  END AS anon_6,
  :param_18::VARCHAR AS anon_7,
  CASE
    WHEN (
      CASE
        WHEN (NOT (offers.reason_0 IS NULL OR offers.reason_1 IS NULL)) THEN offers.reason_0
        WHEN offers.held_out THEN :param_19::VARCHAR
        WHEN (offers.at + :param_20::BIGINT < :now::BIGINT) THEN :param_21::VARCHAR
        ELSE CAST(NULL AS TEXT)
      END IS NULL
    ) THEN :param_22::VARCHAR
    ELSE :param_23::VARCHAR
  END AS anon_8,
  CASE
    WHEN (NOT (offers.reason_0 IS NULL OR offers.reason_1 IS NULL)) THEN offers.reason_0
    WHEN offers.held_out THEN :param_19::VARCHAR
    WHEN (offers.at + :param_20::BIGINT < :now::BIGINT) THEN :param_21::VARCHAR
    ELSE CAST(NULL AS TEXT)
  END AS anon_9,
  :now::BIGINT AS anon_10,
  offers.at,
  offers.at AS at__1,
  offers.at + :param_20::BIGINT AS anon_11,
  :param_24::SMALLINT AS anon_12,
  CASE
    WHEN (
      CASE
        WHEN (NOT (offers.reason_0 IS NULL OR offers.reason_1 IS NULL)) THEN offers.reason_0
        WHEN offers.held_out THEN :param_19::VARCHAR
        WHEN (offers.at + :param_20::BIGINT < :now::BIGINT) THEN :param_21::VARCHAR
        ELSE CAST(NULL AS TEXT)
      END IS NULL
        AND CASE CASE WHEN (offers.preferred = :preferred_1::VARCHAR AND offers.reason_0 IS NULL) THEN :param_4::INTEGER WHEN (offers.preferred = :preferred_2::VARCHAR AND offers.reason_1 IS NULL) THEN :param_5::INTEGER WHEN (offers.reason_0 IS NULL) THEN :param_6::INTEGER WHEN (offers.reason_1 IS NULL) THEN :param_7::INTEGER ELSE :param_8::INTEGER END
          WHEN :param_14::INTEGER THEN :param_15::VARCHAR WHEN :param_16::INTEGER THEN :param_17::VARCHAR
        END != :param_25::VARCHAR
    ) THEN :now::BIGINT
    ELSE CAST(NULL AS BIGINT)
  END AS anon_13,
  offers.visit
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
    cohort.branch AS branch,
    cohort.note AS note,
    cohort.stands_until AS stands_until,
    CAST(customer.attributes ->> :attributes_1::TEXT AS VARCHAR) AS preferred,
    CASE
      WHEN (customer.phone IS NULL) THEN :param_26::VARCHAR
      WHEN (
        listed_0.id IS NOT NULL
          AND (:param_27::VARCHAR != :param_28::VARCHAR OR listed_0.purpose = :purpose_1::VARCHAR)
      ) THEN :param_29::VARCHAR
      WHEN (
        :param_27::VARCHAR != :param_28::VARCHAR AND (agreed_0.given IS false OR left_0.address IS NOT NULL)
      ) THEN :param_30::VARCHAR
      WHEN (:param_27::VARCHAR != :param_28::VARCHAR AND agreed_0.given IS NULL) THEN :param_31::VARCHAR
      WHEN (
        :param_27::VARCHAR != :param_28::VARCHAR
          AND :param_32::VARCHAR != :param_33::VARCHAR
          AND agreed_0.basis != :basis_1::VARCHAR
      ) THEN :param_34::VARCHAR
      ELSE CAST(NULL AS TEXT)
    END AS reason_0,
    CASE
      WHEN (customer.email IS NULL) THEN :param_35::VARCHAR
      WHEN (
        listed_1.id IS NOT NULL
          AND (:param_36::VARCHAR != :param_37::VARCHAR OR listed_1.purpose = :purpose_2::VARCHAR)
      ) THEN :param_38::VARCHAR
      WHEN (
        :param_36::VARCHAR != :param_37::VARCHAR AND (agreed_1.given IS false OR left_1.address IS NOT NULL)
      ) THEN :param_39::VARCHAR
      WHEN (:param_36::VARCHAR != :param_37::VARCHAR AND agreed_1.given IS NULL) THEN :param_40::VARCHAR
      WHEN (
        :param_36::VARCHAR != :param_37::VARCHAR
          AND :param_41::VARCHAR != :param_42::VARCHAR
          AND agreed_1.basis != :basis_2::VARCHAR
      ) THEN :param_43::VARCHAR
      ELSE CAST(NULL AS TEXT)
    END AS reason_1
  FROM cohort
  JOIN customer ON customer.id = cohort.customer_id
  LEFT OUTER JOIN consent AS agreed_0 ON agreed_0.customer_id = customer.id
    AND agreed_0.channel = :channel_1::VARCHAR
  LEFT OUTER JOIN opt_out AS left_0 ON left_0.channel = :channel_2::VARCHAR
    AND left_0.address = customer.phone
    AND left_0.since <= cohort.effective_at
  LEFT OUTER JOIN suppression AS listed_0 ON listed_0.channel = :channel_3::VARCHAR
    AND listed_0.address = customer.phone
    AND listed_0.since <= cohort.effective_at
  LEFT OUTER JOIN consent AS agreed_1 ON agreed_1.customer_id = customer.id
    AND agreed_1.channel = :channel_4::VARCHAR
  LEFT OUTER JOIN opt_out AS left_1 ON left_1.channel = :channel_5::VARCHAR
    AND left_1.address = customer.email_key
    AND left_1.since <= cohort.effective_at
  LEFT OUTER JOIN suppression AS listed_1 ON listed_1.channel = :channel_6::VARCHAR
    AND listed_1.address = customer.email_key
    AND listed_1.since <= cohort.effective_at
  WHERE cohort.note IS NULL
) AS offers
WHERE true
ON CONFLICT DO NOTHING;
-- param_1=5 param_2=5 param_3=7 preferred_1='sms' param_4=0 preferred_2='email' param_5=1 param_6=0 param_7=1
-- param_8=0 param_9=0 param_10='sms' param_11=1 param_12='email' param_13='hello' param_14=0
-- param_15='relational' param_16=1 param_17='relational' param_18='existing_customer' param_19='held_out'
-- param_20=7200000000 param_21='stale' param_22='queued' param_23='refused' param_24=50
-- param_25='transactional' attributes_1='preferred_channel' param_26='no_address' param_27='relational'
-- param_28='transactional' purpose_1='all' param_29='suppressed' param_30='unsubscribed'
-- param_31='no_consent' param_32='existing_customer' param_33='existing_customer' basis_1='consent'
-- param_34='no_consent' param_35='no_address' param_36='relational' param_37='transactional' purpose_2='all'
-- param_38='suppressed' param_39='unsubscribed' param_40='no_consent' param_41='existing_customer'
-- param_42='existing_customer' basis_2='consent' param_43='no_consent' channel_1='sms' channel_2='sms'
-- channel_3='sms' channel_4='email' channel_5='email' channel_6='email'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT cohort.customer_id,
  :param_1::BIGINT AS anon_1,
  cohort.enrollment_id, message.step_id, cohort.at,
  CASE
    WHEN (message.state = 'queued' AND message.queued_at >= :now::BIGINT) THEN :param_2::VARCHAR
    ELSE :param_3::VARCHAR
  END AS anon_2,
  CASE WHEN (message.queued_at < :now::BIGINT) THEN :param_4::VARCHAR ELSE message.reason END AS anon_3,
  jsonb_build_object(
    :param_5::VARCHAR, message.id, :param_6::VARCHAR, message.channel, :param_7::VARCHAR, message.template
  ) AS jsonb_build_object_1
FROM cohort
JOIN message ON message.enrollment_id = cohort.enrollment_id
  AND message.step_id = :step_id_1::BIGINT
  AND message.visit = cohort.visit
WHERE cohort.note IS NULL;
-- param_1=5 param_2='queued' param_3='refused' param_4='already_queued' param_5='message' param_6='channel'
-- param_7='template' step_id_1=7

UPDATE enrollment
SET step_id=:step_id::BIGINT, arrived_at=enrollment.due_at, deadline_at=:deadline_at::BIGINT
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort);
-- step_id=8 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.step_id = :step_id_1::BIGINT
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by::BIGINT
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=7
