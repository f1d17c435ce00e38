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
                      OR other.version_id = :version_id_3 AND other.step_id IN (:step_id_2_1, :step_id_2_2)
                  )
            )
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY enrollment.due_at, enrollment.id
LIMIT :param_10 OFFSET :param_11;
-- version_id_1=5 step_id_1=8 param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0
-- param_7=1 journey_id_2=0 journey_id_3=5 version_id_2=5 version_id_3=5 param_8=1 param_9=0 param_10=5000
-- param_11=0 running_1=5 step_id_2_1=6 step_id_2_2=7

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

INSERT INTO message (
  journey_id, version_id, enrollment_id, step_id, customer_id, channel, template, category, basis, state,
  reason, queued_at, due_at, ready_at, send_by, priority, reserved_at, visit
)
SELECT :param_1 AS anon_1,
  :param_2 AS anon_2,
  offers.enrollment_id,
  :param_3 AS anon_3,
  offers.customer_id,
  CASE CASE WHEN (offers.reason_0 IS NULL) THEN :param_4 ELSE :param_5 END
    WHEN :param_6 THEN :param_7
  END AS anon_4,
  :param_8 AS anon_5,
  CASE CASE WHEN (offers.reason_0 IS NULL) THEN :param_4 ELSE :param_5 END
    WHEN :param_9 THEN :param_10
  END AS anon_6,
  :param_11 AS anon_7,
  CASE
    WHEN (
      CASE
        WHEN (offers.reason_0 IS NOT NULL) THEN offers.reason_0
        WHEN offers.held_out THEN :param_12
        WHEN (offers.at + :param_13 < :now) THEN :param_14
        ELSE CAST(NULL AS TEXT)
      END IS NULL
    ) THEN :param_15
    ELSE :param_16
  END AS anon_8,
  CASE
    WHEN (offers.reason_0 IS NOT NULL) THEN offers.reason_0
    WHEN offers.held_out THEN :param_12
    WHEN (offers.at + :param_13 < :now) THEN :param_14
    ELSE CAST(NULL AS TEXT)
  END AS anon_9,
  :now AS anon_10,
  offers.at,
  offers.at AS at__1,
  offers.at + :param_13 AS anon_11,
  :param_17 AS anon_12,
  CASE
    WHEN (
      CASE
        WHEN (offers.reason_0 IS NOT NULL) THEN offers.reason_0
        WHEN offers.held_out THEN :param_12
        WHEN (offers.at + :param_13 < :now) THEN :param_14
        ELSE CAST(NULL AS TEXT)
      END IS NULL
        AND CASE CASE WHEN (offers.reason_0 IS NULL) THEN :param_4 ELSE :param_5 END
          WHEN :param_9 THEN :param_10
        END != :param_18
    ) THEN :now
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
    CASE
      WHEN (customer.email IS NULL) THEN :param_19
      WHEN (
        listed_0.id IS NOT NULL AND (:param_20 != :param_21 OR listed_0.purpose = :purpose_1)
      ) THEN :param_22
      WHEN (:param_20 != :param_21 AND (agreed_0.given IS 0 OR left_0.address IS NOT NULL)) THEN :param_23
      WHEN (:param_20 != :param_21 AND agreed_0.given IS NULL) THEN :param_24
      WHEN (:param_20 != :param_21 AND :param_25 != :param_26 AND agreed_0.basis != :basis_1) THEN :param_27
      ELSE CAST(NULL AS TEXT)
    END AS reason_0,
    CASE
      WHEN (customer.push_token IS NULL) THEN :param_28
      WHEN (
        listed_1.id IS NOT NULL AND (:param_29 != :param_30 OR listed_1.purpose = :purpose_2)
      ) THEN :param_31
      WHEN (:param_29 != :param_30 AND (agreed_1.given IS 0 OR left_1.address IS NOT NULL)) THEN :param_32
      WHEN (:param_29 != :param_30 AND agreed_1.given IS NULL) THEN :param_33
      WHEN (:param_29 != :param_30 AND :param_34 != :param_35 AND agreed_1.basis != :basis_2) THEN :param_36
      ELSE CAST(NULL AS TEXT)
    END AS reason_1
  FROM cohort
  JOIN customer ON customer.id = cohort.customer_id
  LEFT OUTER JOIN consent AS agreed_0 ON agreed_0.customer_id = customer.id AND agreed_0.channel = :channel_1
  LEFT OUTER JOIN opt_out AS left_0 ON left_0.channel = :channel_2
    AND left_0.address = customer.email_key
    AND left_0.since <= cohort.effective_at
  LEFT OUTER JOIN suppression AS listed_0 ON listed_0.channel = :channel_3
    AND listed_0.address = customer.email_key
    AND listed_0.since <= cohort.effective_at
  LEFT OUTER JOIN consent AS agreed_1 ON agreed_1.customer_id = customer.id AND agreed_1.channel = :channel_4
  LEFT OUTER JOIN opt_out AS left_1 ON left_1.channel = :channel_5
    AND left_1.address = customer.push_key
    AND left_1.since <= cohort.effective_at
  LEFT OUTER JOIN suppression AS listed_1 ON listed_1.channel = :channel_6
    AND listed_1.address = customer.push_key
    AND listed_1.since <= cohort.effective_at
  WHERE cohort.note IS NULL
) AS offers
WHERE 1 = 1
ON CONFLICT DO NOTHING;
-- param_1=5 param_2=5 param_3=8 param_4=0 param_5=0 param_6=0 param_7='email' param_8='hello' param_9=0
-- param_10='relational' param_11='existing_customer' param_12='held_out' param_13=86400000000
-- param_14='stale' param_15='queued' param_16='refused' param_17=50 param_18='transactional'
-- param_19='no_address' param_20='relational' param_21='transactional' purpose_1='all' param_22='suppressed'
-- param_23='unsubscribed' param_24='no_consent' param_25='existing_customer' param_26='existing_customer'
-- basis_1='consent' param_27='no_consent' param_28='no_address' param_29='relational'
-- param_30='transactional' purpose_2='all' param_31='suppressed' param_32='unsubscribed'
-- param_33='no_consent' param_34='existing_customer' param_35='existing_customer' basis_2='consent'
-- param_36='no_consent' channel_1='email' channel_2='email' channel_3='email' channel_4='push'
-- channel_5='push' channel_6='push'

INSERT INTO message (
  journey_id, version_id, enrollment_id, step_id, customer_id, channel, template, category, basis, state,
  reason, queued_at, due_at, ready_at, send_by, priority, reserved_at, visit
)
SELECT :param_1 AS anon_1,
  :param_2 AS anon_2,
  offers.enrollment_id,
  :param_3 AS anon_3,
  offers.customer_id,
  CASE CASE WHEN (offers.reason_1 IS NULL) THEN :param_4 ELSE :param_5 END
    WHEN :param_6 THEN :param_7
  END AS anon_4,
  :param_8 AS anon_5,
  CASE CASE WHEN (offers.reason_1 IS NULL) THEN :param_4 ELSE :param_5 END
    WHEN :param_9 THEN :param_10
  END AS anon_6,
  :param_11 AS anon_7,
  CASE
    WHEN (
      CASE
        WHEN (offers.reason_1 IS NOT NULL) THEN offers.reason_1
        WHEN offers.held_out THEN :param_12
        WHEN (offers.at + :param_13 < :now) THEN :param_14
        ELSE CAST(NULL AS TEXT)
      END IS NULL
    ) THEN :param_15
    ELSE :param_16
  END AS anon_8,
  CASE
    WHEN (offers.reason_1 IS NOT NULL) THEN offers.reason_1
    WHEN offers.held_out THEN :param_12
    WHEN (offers.at + :param_13 < :now) THEN :param_14
    ELSE CAST(NULL AS TEXT)
  END AS anon_9,
  :now AS anon_10,
  offers.at,
  offers.at AS at__1,
  offers.at + :param_13 AS anon_11,
  :param_17 AS anon_12,
  CASE
    WHEN (
      CASE
        WHEN (offers.reason_1 IS NOT NULL) THEN offers.reason_1
        WHEN offers.held_out THEN :param_12
        WHEN (offers.at + :param_13 < :now) THEN :param_14
        ELSE CAST(NULL AS TEXT)
      END IS NULL
        AND CASE CASE WHEN (offers.reason_1 IS NULL) THEN :param_4 ELSE :param_5 END
          WHEN :param_9 THEN :param_10
        END != :param_18
    ) THEN :now
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
    CASE
      WHEN (customer.email IS NULL) THEN :param_19
      WHEN (
        listed_0.id IS NOT NULL AND (:param_20 != :param_21 OR listed_0.purpose = :purpose_1)
      ) THEN :param_22
      WHEN (:param_20 != :param_21 AND (agreed_0.given IS 0 OR left_0.address IS NOT NULL)) THEN :param_23
      WHEN (:param_20 != :param_21 AND agreed_0.given IS NULL) THEN :param_24
      WHEN (:param_20 != :param_21 AND :param_25 != :param_26 AND agreed_0.basis != :basis_1) THEN :param_27
      ELSE CAST(NULL AS TEXT)
    END AS reason_0,
    CASE
      WHEN (customer.push_token IS NULL) THEN :param_28
      WHEN (
        listed_1.id IS NOT NULL AND (:param_29 != :param_30 OR listed_1.purpose = :purpose_2)
      ) THEN :param_31
      WHEN (:param_29 != :param_30 AND (agreed_1.given IS 0 OR left_1.address IS NOT NULL)) THEN :param_32
      WHEN (:param_29 != :param_30 AND agreed_1.given IS NULL) THEN :param_33
      WHEN (:param_29 != :param_30 AND :param_34 != :param_35 AND agreed_1.basis != :basis_2) THEN :param_36
      ELSE CAST(NULL AS TEXT)
    END AS reason_1
  FROM cohort
  JOIN customer ON customer.id = cohort.customer_id
  LEFT OUTER JOIN consent AS agreed_0 ON agreed_0.customer_id = customer.id AND agreed_0.channel = :channel_1
  LEFT OUTER JOIN opt_out AS left_0 ON left_0.channel = :channel_2
    AND left_0.address = customer.email_key
    AND left_0.since <= cohort.effective_at
  LEFT OUTER JOIN suppression AS listed_0 ON listed_0.channel = :channel_3
    AND listed_0.address = customer.email_key
    AND listed_0.since <= cohort.effective_at
  LEFT OUTER JOIN consent AS agreed_1 ON agreed_1.customer_id = customer.id AND agreed_1.channel = :channel_4
  LEFT OUTER JOIN opt_out AS left_1 ON left_1.channel = :channel_5
    AND left_1.address = customer.push_key
    AND left_1.since <= cohort.effective_at
  LEFT OUTER JOIN suppression AS listed_1 ON listed_1.channel = :channel_6
    AND listed_1.address = customer.push_key
    AND listed_1.since <= cohort.effective_at
  WHERE cohort.note IS NULL
) AS offers
WHERE 1 = 1
ON CONFLICT DO NOTHING;
-- param_1=5 param_2=5 param_3=8 param_4=1 param_5=1 param_6=1 param_7='push' param_8='hello' param_9=1
-- param_10='relational' param_11='existing_customer' param_12='held_out' param_13=86400000000
-- param_14='stale' param_15='queued' param_16='refused' param_17=50 param_18='transactional'
-- param_19='no_address' param_20='relational' param_21='transactional' purpose_1='all' param_22='suppressed'
-- param_23='unsubscribed' param_24='no_consent' param_25='existing_customer' param_26='existing_customer'
-- basis_1='consent' param_27='no_consent' param_28='no_address' param_29='relational'
-- param_30='transactional' purpose_2='all' param_31='suppressed' param_32='unsubscribed'
-- param_33='no_consent' param_34='existing_customer' param_35='existing_customer' basis_2='consent'
-- param_36='no_consent' channel_1='email' channel_2='email' channel_3='email' channel_4='push'
-- channel_5='push' channel_6='push'

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT cohort.customer_id,
  :param_1 AS anon_1,
  cohort.enrollment_id, message.step_id, cohort.at,
  CASE
    WHEN (message.state = 'queued' AND message.queued_at >= :now) THEN :param_2 ELSE :param_3
  END AS anon_2,
  CASE WHEN (message.queued_at < :now) THEN :param_4 ELSE message.reason END AS anon_3,
  json_object(:param_5, message.id, :param_6, message.channel, :param_7, message.template) AS json_object_1
FROM cohort
JOIN message ON message.enrollment_id = cohort.enrollment_id
  AND message.step_id = :step_id_1
  AND message.visit = cohort.visit
WHERE cohort.note IS NULL;
-- param_1=5 param_2='queued' param_3='refused' param_4='already_queued' param_5='message' param_6='channel'
-- param_7='template' step_id_1=8

UPDATE enrollment
SET step_id=:step_id, arrived_at=enrollment.due_at, deadline_at=:deadline_at
WHERE enrollment.id IN (SELECT cohort.enrollment_id FROM cohort);
-- step_id=9 deadline_at=None

SELECT enrollment.id
FROM enrollment
WHERE enrollment.id = (SELECT min(cohort.enrollment_id) AS min_1 FROM cohort)
  AND enrollment.version_id = :version_id_1
  AND enrollment.step_id = :step_id_1
  AND enrollment.outcome = 'inside'
  AND enrollment.due_at <= :due_by
  AND enrollment.due_at = (SELECT cohort.at FROM cohort WHERE cohort.enrollment_id = enrollment.id);
-- version_id_1=5 step_id_1=8
