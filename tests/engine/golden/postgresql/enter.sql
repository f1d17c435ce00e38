SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || :name, 0));

DELETE FROM caller;

INSERT INTO caller (
  arrival_id, customer_id, kind, event_id, enrollment_id, at, detail, effective_at, seq, caused, last_at
)
SELECT arrival.id, arrival.customer_id, arrival.kind, arrival.event_id, arrival.enrollment_id, arrival.at,
  arrival.detail, arrival.effective_at, arrival.seq, arrival.caused,
  arrival.at AS at__1
FROM arrival
WHERE arrival.journey_id = :which::BIGINT
  AND arrival.effective_at <= :now::BIGINT
  AND (
    NOT (EXISTS (SELECT any_event.id FROM event AS any_event WHERE any_event.routed_at IS NULL))
      OR (
        SELECT :param_1::INTEGER AS anon_1
        FROM event AS unseen
        WHERE unseen.customer_id = arrival.customer_id
          AND unseen.routed_at IS NULL
          AND unseen.effective_at <= arrival.effective_at
        LIMIT :param_2::INTEGER
      ) IS NULL
  )
  AND (
    SELECT :param_3::INTEGER AS anon_2
    FROM arrival AS earlier
    WHERE earlier.customer_id = arrival.customer_id
      AND earlier.journey_id + :journey_id_1::BIGINT IN (:running_1::BIGINT)
      AND earlier.effective_at <= arrival.effective_at
      AND (
        (
          earlier.effective_at, earlier.caused, earlier.at, earlier.seq
        ) < (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
          OR (
            earlier.effective_at, earlier.caused, earlier.at, earlier.seq
          ) = (arrival.effective_at, arrival.caused, arrival.at, arrival.seq)
            AND (
              earlier.journey_id IN (NULL) AND (1 != 1)
                OR earlier.journey_id = arrival.journey_id AND earlier.id < arrival.id
            )
      )
    LIMIT :param_4::INTEGER
  ) IS NULL
  AND (
    SELECT :param_5::INTEGER AS anon_3
    FROM enrollment AS other
    WHERE other.customer_id = arrival.customer_id
      AND other.outcome = 'inside'
      AND other.journey_id + :journey_id_2::BIGINT IN (:running_1::BIGINT)
      AND (other.step_id NOT IN (NULL) OR (1 = 1))
      AND (
        CASE
          WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
        END < arrival.effective_at
          OR CASE
            WHEN (other.due_at > other.effective_at) THEN other.due_at ELSE other.effective_at
          END = arrival.effective_at
            AND arrival.caused
      )
    LIMIT :param_6::INTEGER
  ) IS NULL
ORDER BY arrival.effective_at, arrival.id
LIMIT :param_7::INTEGER;
-- param_1=1 param_2=1 param_3=1 journey_id_1=0 param_4=1 param_5=1 journey_id_2=0 param_6=1 param_7=5000
-- running_1=1

SELECT DISTINCT CASE WHEN (caller.event_id IS NULL) THEN caller.kind ELSE event.name END AS anon_1
FROM caller
LEFT OUTER JOIN event ON event.id = caller.event_id;

SELECT caller.customer_id,
  caller.effective_at AS effective_at,
  CASE WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS NOT true) THEN caller.last_at END AS last_at,
  CASE WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS NOT true) THEN caller.seq END AS last_seq
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
    AND CASE WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS NOT true) THEN caller.seq END IS NOT NULL;
-- seq_1=4611686018427387904

SELECT DISTINCT watch.name
FROM watch;

UPDATE caller
SET per=CASE
  WHEN (caller.kind = :kind_1::VARCHAR) THEN caller.detail ELSE :param_1::VARCHAR
END, verdict=:verdict::VARCHAR
WHERE caller.kind IN (
  :kind_2_1::VARCHAR, :kind_2_2::VARCHAR, :kind_2_3::VARCHAR, :kind_2_4::VARCHAR, :kind_2_5::VARCHAR
)
  OR caller.kind = :kind_3::VARCHAR
    AND caller.at >= :param_2::BIGINT
    AND (
      EXISTS (
        SELECT *
        FROM event
        WHERE event.id = caller.event_id
          AND event.name = :name_1::VARCHAR
          AND coalesce(
            NOT coalesce(
              CASE
                WHEN (
                  jsonb_typeof(event.properties -> :param_3::VARCHAR) = :jsonb_typeof_1::VARCHAR
                ) THEN event.properties ->> :param_3::VARCHAR
              END = :param_4::VARCHAR, false
            ),
            false
          )
      )
    );
-- kind_1='date' param_1='' verdict='enter' kind_3='event' param_2=2026-03-02 09:00:00+00:00
-- name_1='cart.left' param_3='cart_id' jsonb_typeof_1='string' param_4='test' kind_2_1='segment'
-- kind_2_2='schedule' kind_2_3='date' kind_2_4='manual' kind_2_5='started'

UPDATE caller
SET per=(
  SELECT coalesce(
    CAST(event.properties ->> :properties_1::TEXT AS VARCHAR), :coalesce_2::VARCHAR
  ) AS coalesce_1
  FROM event
  WHERE event.id = caller.event_id
)
WHERE caller.event_id IS NOT NULL;
-- properties_1='cart_id' coalesce_2=''

UPDATE caller
SET verdict=:verdict::VARCHAR
WHERE caller.verdict = :verdict_1::VARCHAR
  AND caller.caused
  AND (
    EXISTS (
      SELECT *
      FROM enrollment AS before
      WHERE before.journey_id = :journey_id_1::BIGINT
        AND before.customer_id = caller.customer_id
        AND before.effective_at = caller.effective_at
    )
  );
-- verdict='loop' verdict_1='enter' journey_id_1=1

SELECT min(caller.at) AS min_1
FROM caller
WHERE caller.verdict = :verdict_1::VARCHAR AND caller.at >= :since::BIGINT;
-- verdict_1='enter'

UPDATE caller
SET verdict=:verdict::VARCHAR
WHERE caller.verdict = :verdict_1::VARCHAR
  AND caller.at >= :since::BIGINT
  AND caller.at < :until::BIGINT
  AND (
    caller.customer_id NOT IN (
      SELECT found.customer_id
      FROM (
        SELECT DISTINCT asked.customer_id AS customer_id
        FROM (
          SELECT caller.arrival_id AS arrival_id,
            caller.customer_id AS customer_id,
            caller.event_id AS event_id,
            caller.at AS at,
            caller.effective_at AS effective_at,
            caller.at AS entered_at,
            caller.effective_at AS entered_effective_at,
            caller.seq AS entered_seq,
            CASE
              WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS false) THEN caller.last_at
              ELSE caller.effective_at
            END AS last_at,
            CASE
              WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS false) THEN caller.seq
              ELSE :param_1::BIGINT
            END AS last_seq
          FROM caller
          WHERE caller.verdict = :verdict_1::VARCHAR
            AND caller.at >= :since::BIGINT
            AND caller.at < :until::BIGINT
        ) AS asked
        JOIN customer ON customer.id = asked.customer_id
        WHERE CASE
          WHEN (
            jsonb_typeof(customer.attributes -> :param_2::VARCHAR) = :jsonb_typeof_1::VARCHAR
          ) THEN customer.attributes ->> :param_2::VARCHAR
        END IN (:param_3_1::VARCHAR, :param_3_2::VARCHAR)
      ) AS found
    )
  );
-- verdict='if' verdict_1='enter' seq_1=4611686018427387904 param_1=4611686018427387904 param_2='country'
-- jsonb_typeof_1='string' param_3_1='DE' param_3_2='AT'

UPDATE caller
SET verdict=:verdict::VARCHAR
WHERE caller.verdict = :verdict_1::VARCHAR
  AND (
    EXISTS (
      SELECT *
      FROM enrollment AS before
      WHERE before.journey_id = :journey_id_1::BIGINT
        AND before.customer_id = caller.customer_id
        AND before.per = caller.per
        AND before.outcome = 'inside'
    )
  );
-- verdict='inside' verdict_1='enter' journey_id_1=1

WITH moved AS MATERIALIZED (
  SELECT located.key AS key, located.home AS home, located.wall + :param_3::BIGINT AS wall
  FROM (
    SELECT homes.key AS key,
      homes.home AS home,
      homes.instant AS instant,
      homes.instant + (
        SELECT there.shift
        FROM timezone_offset AS there
        WHERE there.zone = homes.home AND there.utc_from <= homes.instant
        ORDER BY there.utc_from DESC
        LIMIT :param_4::INTEGER
      ) AS wall
    FROM (
      SELECT stays.arrival_id AS key,
        stays.left_at AS instant,
        coalesce(customer.timezone, :param_5::VARCHAR) AS home
      FROM (
        SELECT before.id AS id,
          before.customer_id AS customer_id,
          before.left_at AS left_at,
          caller.at AS at,
          caller.arrival_id AS arrival_id
        FROM enrollment AS before
        JOIN caller ON before.journey_id = :journey_id_1::BIGINT
          AND before.customer_id = caller.customer_id
          AND before.per = caller.per
        WHERE caller.verdict = :verdict_1::VARCHAR AND before.left_at IS NOT NULL
      ) AS stays
      JOIN customer ON customer.id = stays.customer_id
    ) AS homes
  ) AS located
)
UPDATE caller
SET verdict=:verdict::VARCHAR
WHERE caller.verdict = :verdict_1::VARCHAR
  AND (
    EXISTS (
      SELECT *
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
      WHERE until.key = caller.arrival_id AND caller.at < until.due
    )
  );
-- verdict='again' verdict_1='enter' param_1=1 param_2=0 param_3=604800000000 param_4=1
-- param_5='Europe/Berlin' journey_id_1=1

UPDATE caller
SET verdict=:verdict::VARCHAR
WHERE caller.verdict = :verdict_1::VARCHAR
  AND caller.at >= :since::BIGINT
  AND caller.at < :until::BIGINT
  AND caller.customer_id IN (
    SELECT found.customer_id
    FROM (
      SELECT DISTINCT asked.customer_id AS customer_id
      FROM (
        SELECT caller.arrival_id AS arrival_id,
          caller.customer_id AS customer_id,
          caller.event_id AS event_id,
          caller.at AS at,
          caller.effective_at AS effective_at,
          caller.at AS entered_at,
          caller.effective_at AS entered_effective_at,
          caller.seq AS entered_seq,
          CASE
            WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS false) THEN caller.last_at
            ELSE caller.effective_at
          END AS last_at,
          CASE
            WHEN (caller.seq < :seq_1::BIGINT AND caller.caused IS false) THEN caller.seq
            ELSE :param_1::BIGINT
          END AS last_seq
        FROM caller
        WHERE caller.verdict = :verdict_1::VARCHAR
          AND caller.at >= :since::BIGINT
          AND caller.at < :until::BIGINT
      ) AS asked
      JOIN customer ON customer.id = asked.customer_id
      WHERE CASE
        WHEN (
          jsonb_typeof(customer.attributes -> :param_2::VARCHAR) = :jsonb_typeof_1::VARCHAR
        ) THEN CAST(customer.attributes -> :param_2::VARCHAR AS BOOLEAN)
      END = :param_3
    ) AS found
  );
-- verdict='exit' verdict_1='enter' seq_1=4611686018427387904 param_1=4611686018427387904 param_2='vip'
-- jsonb_typeof_1='boolean' param_3=True

SELECT max(enrollment.id) AS max_1
FROM enrollment;

WITH moved AS MATERIALIZED (
  SELECT located.key AS key, located.home AS home, located.wall + :param_12::BIGINT AS wall
  FROM (
    SELECT homes.key AS key,
      homes.home AS home,
      homes.instant AS instant,
      homes.instant + (
        SELECT there.shift
        FROM timezone_offset AS there
        WHERE there.zone = homes.home AND there.utc_from <= homes.instant
        ORDER BY there.utc_from DESC
        LIMIT :param_13::INTEGER
      ) AS wall
    FROM (
      SELECT "new".arrival_id AS key,
        "new".at AS instant,
        coalesce(customer.timezone, :param_14::VARCHAR) AS home
      FROM (
        SELECT caller.arrival_id AS arrival_id, caller.customer_id AS customer_id, caller.at AS at
        FROM caller
        WHERE caller.verdict = :verdict_1::VARCHAR
      ) AS "new"
      JOIN customer ON customer.id = "new".customer_id
    ) AS homes
  ) AS located
)
INSERT INTO enrollment (
  journey_id, version_id, customer_id, event_id, per, held_out, entered_at, step_id, arrived_at, due_at,
  outcome, effective_at, seq, convert_by
)
SELECT :param_1::BIGINT AS anon_1,
  :param_2::BIGINT AS anon_2,
  caller.customer_id, caller.event_id, caller.per,
  (
    (
      (
        ((:param_3::BIGINT * customer.draw + :param_4::BIGINT) % :param_5::BIGINT) * (
          (
            (:param_3::BIGINT * customer.draw + :param_4::BIGINT) % :param_5::BIGINT + :param_3::BIGINT
          ) % :param_5::BIGINT
        )
      ) % :param_5::BIGINT
    ) * :param_6::BIGINT
  ) / :param_5::BIGINT < :param_7::BIGINT AS anon_3,
  caller.at,
  :param_8::BIGINT AS anon_4,
  caller.at AS at__1,
  caller.at AS at__2,
  :param_9::VARCHAR AS anon_5,
  caller.effective_at, caller.seq, until.due
FROM caller
JOIN customer ON customer.id = caller.customer_id
JOIN (
  SELECT moved.key AS key,
    (
      SELECT CASE
        WHEN (moved.wall - back.shift < back.utc_from) THEN back.utc_from ELSE moved.wall - back.shift
      END AS anon_6
      FROM timezone_offset AS back
      WHERE back.zone = moved.home AND back.wall_from <= moved.wall
      ORDER BY back.wall_from DESC
      LIMIT :param_10::INTEGER
    ) + :param_11::BIGINT AS due
  FROM moved
) AS until ON until.key = caller.arrival_id
WHERE caller.verdict = :verdict_2::VARCHAR
ORDER BY caller.effective_at, caller.at, caller.seq, caller.arrival_id
ON CONFLICT DO NOTHING;
-- param_1=1 param_2=1 param_3=920502810 param_4=809511375 param_5=2147483647 param_6=10000 param_7=1000
-- param_8=1 param_9='inside' param_10=1 param_11=0 param_12=1209600000000 param_13=1 param_14='Europe/Berlin'
-- verdict_1='enter' verdict_2='enter'

INSERT INTO trace (customer_id, journey_id, enrollment_id, at, decision, reason)
SELECT caller.customer_id,
  :param_1::BIGINT AS anon_1,
  enrollment.id, caller.at,
  :param_2::VARCHAR AS anon_2,
  caller.kind
FROM caller
JOIN enrollment ON enrollment.id > :before::BIGINT
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.per = caller.per
  AND caller.verdict = :verdict_1::VARCHAR;
-- param_1=1 param_2='entered' version_id_1=1 verdict_1='enter'

INSERT INTO trace (customer_id, journey_id, at, decision, reason)
SELECT caller.customer_id, :param_1::BIGINT AS anon_1, caller.at, :param_2::VARCHAR AS anon_2, caller.verdict
FROM caller
WHERE caller.verdict IN (
  :verdict_1_1::VARCHAR, :verdict_1_2::VARCHAR, :verdict_1_3::VARCHAR, :verdict_1_4::VARCHAR,
  :verdict_1_5::VARCHAR
);
-- param_1=1 param_2='turned_away' verdict_1_1='if' verdict_1_2='again' verdict_1_3='inside'
-- verdict_1_4='exit' verdict_1_5='loop'

INSERT INTO arrival (journey_id, customer_id, kind, event_id, at, effective_at, seq, caused)
SELECT :param_1::BIGINT AS anon_1,
  event.customer_id,
  :param_2::VARCHAR AS anon_2,
  event.id, event.at,
  CASE
    WHEN (event.effective_at > enrollment.effective_at) THEN event.effective_at ELSE enrollment.effective_at
  END AS anon_3,
  event.seq,
  event.source LIKE :source_1::VARCHAR || '%' AS anon_4
FROM event
JOIN enrollment ON enrollment.customer_id = event.customer_id
JOIN caller ON enrollment.id > :before::BIGINT
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.per = caller.per
  AND caller.verdict = :verdict_1::VARCHAR
WHERE (event.name || :name_1::VARCHAR) IN (:param_3_1::VARCHAR)
  AND (
    event.at > enrollment.entered_at
      OR (event.effective_at, event.at, event.seq) > (
        enrollment.effective_at, enrollment.entered_at, enrollment.seq
      )
  )
  AND event.routed_at IS NOT NULL
ON CONFLICT DO NOTHING;
-- param_1=1 param_2='known' source_1='journey:' version_id_1=1 verdict_1='enter' name_1=''
-- param_3_1='order.placed'

INSERT INTO arrival (journey_id, customer_id, kind, at, effective_at, seq, caused)
SELECT DISTINCT :param_1::BIGINT AS anon_1,
  change.customer_id,
  :param_2::VARCHAR AS anon_2,
  change.happened_at, change.at, change.seq,
  false AS anon_3
FROM change
JOIN enrollment ON enrollment.customer_id = change.customer_id
JOIN caller ON enrollment.id > :before::BIGINT
  AND enrollment.version_id = :version_id_1::BIGINT
  AND enrollment.customer_id = caller.customer_id
  AND enrollment.per = caller.per
  AND caller.verdict = :verdict_1::VARCHAR
WHERE change.at > enrollment.effective_at AND (change.name || :name_1::VARCHAR) IN (:param_3_1::VARCHAR);
-- param_1=1 param_2='touch' version_id_1=1 verdict_1='enter' name_1='' param_3_1='vip'

DELETE FROM arrival WHERE arrival.id IN (SELECT caller.arrival_id FROM caller);
