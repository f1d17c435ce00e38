DELETE FROM caller;

INSERT INTO caller (
  arrival_id, customer_id, kind, event_id, enrollment_id, at, detail, effective_at, seq, caused, last_at
)
SELECT arrival.id, arrival.customer_id, arrival.kind, arrival.event_id, arrival.enrollment_id, arrival.at,
  arrival.detail, arrival.effective_at, arrival.seq, arrival.caused,
  arrival.at AS at__1
FROM arrival
WHERE arrival.journey_id = :which
  AND arrival.effective_at <= :now
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1 AS anon_1
        FROM event AS unseen
        WHERE unseen.customer_id = arrival.customer_id
          AND unseen.routed_at IS NULL
          AND unseen.effective_at <= arrival.effective_at
        LIMIT :param_2 OFFSET :param_3
      ) IS NULL
  )
  AND (
    SELECT :param_4 AS anon_2
    FROM arrival AS earlier
    WHERE earlier.customer_id = arrival.customer_id
      AND earlier.journey_id + :journey_id_1 IN (:running_1)
      AND earlier.effective_at <= arrival.effective_at
      AND (
        (
          earlier.effective_at, earlier.caused, earlier.at, earlier.seq
        ) < (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
          OR (
            earlier.effective_at, earlier.caused, earlier.at, earlier.seq
          ) = (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
            AND (
              earlier.journey_id IN (SELECT 1 FROM (SELECT 1) WHERE 1!= 1)
                OR earlier.journey_id = arrival.journey_id AND earlier.id < arrival.id
            )
      )
    LIMIT :param_5 OFFSET :param_6
  ) IS NULL
  AND (
    SELECT :param_7 AS anon_3
    FROM enrollment AS other
    WHERE other.customer_id = arrival.customer_id
      AND other.outcome = 'inside'
      AND other.journey_id + :journey_id_2 IN (:running_1)
      AND (other.step_id NOT IN (SELECT 1 FROM (SELECT 1) WHERE 1!= 1))
      AND (
        CASE
          WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
        END < arrival.effective_at
          OR CASE
            WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
          END = arrival.effective_at
            AND arrival.caused = 1
      )
    LIMIT :param_8 OFFSET :param_9
  ) IS NULL
ORDER BY arrival.effective_at, arrival.id
LIMIT :param_10 OFFSET :param_11;
-- param_1=1 param_2=1 param_3=0 param_4=1 journey_id_1=0 param_5=1 param_6=0 param_7=1 journey_id_2=0
-- param_8=1 param_9=0 param_10=5000 param_11=0 running_1=2

SELECT DISTINCT CASE WHEN (caller.event_id IS NULL) THEN caller.kind ELSE event.name END AS anon_1
FROM caller
LEFT OUTER JOIN event ON event.id = caller.event_id;

SELECT caller.customer_id,
  caller.effective_at AS effective_at,
  CASE WHEN (caller.seq < :seq_1 AND caller.caused IS NOT 1) THEN caller.last_at END AS last_at,
  CASE WHEN (caller.seq < :seq_1 AND caller.caused IS NOT 1) THEN caller.seq END AS last_seq
FROM caller
WHERE (
  SELECT max(change.at) AS max_1
  FROM change
  WHERE change.customer_id = caller.customer_id
) > caller.effective_at
  OR (
    SELECT max(change.at) AS max_1
    FROM change
    WHERE change.customer_id = caller.customer_id
  ) = caller.effective_at
    AND CASE WHEN (caller.seq < :seq_1 AND caller.caused IS NOT 1) THEN caller.seq END IS NOT NULL;
-- seq_1=4611686018427387904

SELECT DISTINCT watch.name
FROM watch;

UPDATE caller
SET looks=(
  caller.kind IN (:kind_1_1, :kind_1_2)
    OR caller.kind IN (:kind_2_1, :kind_2_2)
      AND (EXISTS (SELECT * FROM event WHERE event.id = caller.event_id AND event.name IN (:name_1_1)))
);
-- kind_1_1='touch' kind_1_2='expiry' kind_2_1='event' kind_2_2='known' name_1_1='customer.created'

SELECT min(caller.effective_at) AS min_1
FROM caller
WHERE caller.looks IS 1 AND caller.effective_at >= :effective_at_1;
-- effective_at_1=0001-01-01 00:00:00+00:00

UPDATE caller
SET holds=(
  found.branch IS NOT NULL
), stands_until=found.stands_until
FROM (
  SELECT asked.customer_id AS customer_id,
    CASE
      WHEN (
        CASE
          WHEN (
            json_type(customer.attributes, :param_1) IN (:json_type_1_1)
          ) THEN json_extract(customer.attributes, :param_1)
        END = :param_2
      ) THEN :param_3
    END AS branch,
    asked.arrival_id AS arrival_id,
    CAST(NULL AS BIGINT) AS stands_until
  FROM (
    SELECT caller.arrival_id AS arrival_id,
      caller.customer_id AS customer_id,
      caller.effective_at AS at,
      caller.effective_at AS effective_at,
      CASE
        WHEN (caller.seq < :seq_1 AND caller.caused IS 0) THEN caller.last_at ELSE caller.effective_at
      END AS last_at,
      CASE WHEN (caller.seq < :seq_1 AND caller.caused IS 0) THEN caller.seq ELSE :param_4 END AS last_seq
    FROM caller
    WHERE caller.effective_at >= :param_5
      AND caller.looks IS 1
      AND caller.effective_at >= :since
      AND caller.effective_at < :until
  ) AS asked
  JOIN customer ON customer.id = asked.customer_id
) AS found
WHERE caller.arrival_id = found.arrival_id;
-- param_1='$."country"' param_2='DE' param_3=0 seq_1=4611686018427387904 param_4=4611686018427387904
-- param_5=2026-03-02 09:00:00+00:00 json_type_1_1='text'

UPDATE caller
SET kind=:kind, event_id=NULL, at=caller.effective_at
WHERE caller.holds IS 1
  AND NOT (
    EXISTS (
      SELECT *
      FROM membership
      WHERE membership.journey_id = :which AND membership.customer_id = caller.customer_id
    )
  );
-- kind='segment'

INSERT INTO membership (journey_id, customer_id)
SELECT :which AS anon_1, caller.customer_id
FROM caller
WHERE caller.holds IS 1
ON CONFLICT DO NOTHING;

DELETE FROM membership
WHERE membership.journey_id = :which
  AND membership.customer_id IN (SELECT caller.customer_id FROM caller WHERE caller.holds IS 0);

UPDATE caller
SET per=CASE
  WHEN (caller.kind = :kind_1) THEN caller.detail ELSE :param_1
END, verdict=:verdict
WHERE caller.kind IN (:kind_2_1, :kind_2_2, :kind_2_3, :kind_2_4, :kind_2_5);
-- kind_1='date' param_1='' verdict='enter' kind_2_1='segment' kind_2_2='schedule' kind_2_3='date'
-- kind_2_4='manual' kind_2_5='started'

UPDATE caller
SET verdict=:verdict
WHERE caller.verdict = :verdict_1
  AND caller.caused = 1
  AND (
    EXISTS (
      SELECT *
      FROM enrollment AS "before"
      WHERE "before".journey_id = :journey_id_1
        AND "before".customer_id = caller.customer_id
        AND "before".effective_at = caller.effective_at
    )
  );
-- verdict='loop' verdict_1='enter' journey_id_1=2

UPDATE caller
SET verdict=:verdict
WHERE caller.verdict = :verdict_1
  AND (
    EXISTS (
      SELECT *
      FROM enrollment AS "before"
      WHERE "before".journey_id = :journey_id_1
        AND "before".customer_id = caller.customer_id
        AND "before".per = caller.per
        AND "before".outcome = 'inside'
    )
  );
-- verdict='inside' verdict_1='enter' journey_id_1=2

UPDATE caller
SET verdict=:verdict
WHERE caller.verdict = :verdict_1
  AND (
    EXISTS (
      SELECT *
      FROM enrollment AS "before"
      WHERE "before".journey_id = :journey_id_1
        AND "before".customer_id = caller.customer_id
        AND "before".per = caller.per
    )
  );
-- verdict='again' verdict_1='enter' journey_id_1=2

SELECT max(enrollment.id) AS max_1
FROM enrollment;

INSERT INTO enrollment (
  journey_id, version_id, customer_id, event_id, per, held_out, entered_at, step_id, arrived_at, due_at,
  outcome, effective_at, seq
)
SELECT :param_1 AS anon_1,
  :param_2 AS anon_2,
  caller.customer_id, caller.event_id, caller.per,
  (
    (
      (
        ((:param_3 * customer.draw + :param_4) % :param_5) * (
          ((:param_3 * customer.draw + :param_4) % :param_5 + :param_3) % :param_5
        )
      ) % :param_5
    ) * :param_6
  ) / :param_5 < :param_7 AS anon_3,
  caller.at,
  :param_8 AS anon_4,
  caller.at AS at__1,
  caller.at AS at__2,
  :param_9 AS anon_5,
  caller.effective_at, caller.seq
FROM caller
JOIN customer ON customer.id = caller.customer_id
WHERE caller.verdict = :verdict_1
ORDER BY caller.effective_at, caller.at, caller.seq, caller.arrival_id
ON CONFLICT DO NOTHING;
-- param_1=2 param_2=2 param_3=494155224 param_4=1566575171 param_5=2147483647 param_6=10000 param_7=0
-- param_8=3 param_9='inside' verdict_1='enter'

INSERT INTO trace (customer_id, journey_id, enrollment_id, at, decision, reason)
SELECT caller.customer_id, :param_1 AS anon_1, enrollment.id, caller.at, :param_2 AS anon_2, caller.kind
FROM caller
JOIN enrollment ON enrollment.id > :before
  AND enrollment.version_id = :version_id_1
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.per = caller.per
  AND caller.verdict = :verdict_1;
-- param_1=2 param_2='entered' version_id_1=2 verdict_1='enter'

INSERT INTO trace (customer_id, journey_id, at, decision, reason)
SELECT caller.customer_id, :param_1 AS anon_1, caller.at, :param_2 AS anon_2, caller.verdict
FROM caller
WHERE caller.verdict IN (:verdict_1_1, :verdict_1_2, :verdict_1_3, :verdict_1_4, :verdict_1_5);
-- param_1=2 param_2='turned_away' verdict_1_1='if' verdict_1_2='again' verdict_1_3='inside'
-- verdict_1_4='exit' verdict_1_5='loop'

DELETE FROM arrival WHERE arrival.id IN (SELECT caller.arrival_id FROM caller);

DELETE FROM arrival
WHERE arrival.journey_id = :which
  AND arrival.kind = :kind_1
  AND arrival.customer_id IN (SELECT caller.customer_id FROM caller WHERE caller.looks IS 1);
-- kind_1='expiry'

INSERT INTO arrival (journey_id, customer_id, kind, at, effective_at)
SELECT :which AS anon_1,
  caller.customer_id,
  :param_1 AS anon_2,
  caller.stands_until,
  caller.stands_until AS stands_until__1
FROM caller
WHERE caller.stands_until IS NOT NULL
ON CONFLICT (journey_id, customer_id)
WHERE kind = 'expiry' DO
UPDATE
SET at = excluded.at,
  effective_at = excluded.effective_at
WHERE excluded.effective_at < arrival.effective_at;
-- param_1='expiry'
