DELETE FROM judged;

WITH clocks AS MATERIALIZED (
  SELECT homes.id AS id,
    homes.customer_id AS customer_id,
    homes.channel AS channel,
    homes.priority AS priority,
    homes.due_at AS due_at,
    homes.send_by AS send_by,
    homes.reserved_at AS reserved_at,
    homes.timezone AS timezone,
    homes.draw AS draw,
    homes.mailbox AS mailbox,
    homes.against AS against,
    homes.home AS home,
    CAST(:now AS BIGINT) + (
      SELECT there.shift
      FROM timezone_offset AS there
      WHERE there.zone = homes.home AND there.utc_from <= CAST(:now AS BIGINT)
      ORDER BY there.utc_from DESC
      LIMIT :param_30 OFFSET :param_31
    ) AS clock
  FROM (
    SELECT waiting.id AS id,
      waiting.customer_id AS customer_id,
      waiting.channel AS channel,
      waiting.priority AS priority,
      waiting.due_at AS due_at,
      waiting.send_by AS send_by,
      waiting.reserved_at AS reserved_at,
      waiting.timezone AS timezone,
      waiting.draw AS draw,
      waiting.mailbox AS mailbox,
      waiting.against AS against,
      coalesce(waiting.timezone, :param_32) AS home
    FROM (
      SELECT message.id AS id,
        message.customer_id AS customer_id,
        message.channel AS channel,
        message.priority AS priority,
        message.due_at AS due_at,
        message.send_by AS send_by,
        message.reserved_at AS reserved_at,
        customer.timezone AS timezone,
        customer.draw AS draw,
        coalesce(customer.email_key, customer.phone, customer."key") AS mailbox,
        CAST(NULL AS TEXT) AS against
      FROM message
      JOIN customer ON customer.id = message.customer_id
      WHERE message.state = 'queued'
        AND (message.reason IS NULL OR message.reason != :reason_1)
        AND message.category != :category_1
        AND message.ready_at <= :now
        AND message.enrollment_id IN (SELECT cohort.enrollment_id FROM cohort WHERE cohort.note IS NULL)
        AND message.step_id = :this_step
        AND message.queued_at = :now
    ) AS waiting
  ) AS homes
),
silent AS MATERIALIZED (
  SELECT clocks.id AS id,
    clocks.customer_id AS customer_id,
    clocks.channel AS channel,
    clocks.priority AS priority,
    clocks.due_at AS due_at,
    clocks.send_by AS send_by,
    clocks.reserved_at AS reserved_at,
    clocks.timezone AS timezone,
    clocks.draw AS draw,
    clocks.mailbox AS mailbox,
    clocks.against AS against,
    clocks.home AS home,
    clocks.clock AS clock,
    CASE
      WHEN (
        clocks.channel = :channel_1
          AND clocks.timezone IS NOT NULL
          AND (
            (clocks.clock / :param_13) % :param_14 >= :param_15
              OR (clocks.clock / :param_13) % :param_14 < :param_16
          )
      ) THEN (
        clocks.clock / :param_17 + CASE
          WHEN ((clocks.clock / :param_13) % :param_14 >= :param_18) THEN :param_19 ELSE :param_20
        END
      ) * :param_21 + :param_22
      WHEN (
        clocks.channel = :channel_2
          AND clocks.timezone IS NULL
          AND (
            (clocks.clock / :param_13) % :param_14 >= :param_23
              OR (clocks.clock / :param_13) % :param_14 < :param_24
          )
      ) THEN (
        clocks.clock / :param_17 + CASE
          WHEN ((clocks.clock / :param_13) % :param_14 >= :param_25) THEN :param_26 ELSE :param_27
        END
      ) * :param_28 + :param_29
      ELSE CAST(NULL AS BIGINT)
    END AS wall
  FROM clocks
),
ends AS MATERIALIZED (
  SELECT silent.id AS id,
    silent.customer_id AS customer_id,
    silent.channel AS channel,
    silent.priority AS priority,
    silent.due_at AS due_at,
    silent.send_by AS send_by,
    silent.reserved_at AS reserved_at,
    silent.timezone AS timezone,
    silent.draw AS draw,
    silent.mailbox AS mailbox,
    silent.against AS against,
    silent.home AS home,
    silent.clock AS clock,
    silent.wall AS wall,
    CASE
      WHEN (silent.wall IS NOT NULL) THEN CASE
        WHEN (
          (
            SELECT CASE
              WHEN (silent.wall - back.shift < back.utc_from) THEN back.utc_from ELSE silent.wall - back.shift
            END AS anon_4
            FROM timezone_offset AS back
            WHERE back.zone = silent.home AND back.wall_from <= silent.wall
            ORDER BY back.wall_from DESC
            LIMIT :param_10 OFFSET :param_11
          ) > CAST(:now AS BIGINT)
        ) THEN (
          SELECT CASE
            WHEN (silent.wall - back.shift < back.utc_from) THEN back.utc_from ELSE silent.wall - back.shift
          END AS anon_4
          FROM timezone_offset AS back
          WHERE back.zone = silent.home AND back.wall_from <= silent.wall
          ORDER BY back.wall_from DESC
          LIMIT :param_10 OFFSET :param_12
        )
        ELSE (CAST(:now AS BIGINT) + silent.wall) - silent.clock
      END
    END AS ends
  FROM silent
),
found AS MATERIALIZED (
  SELECT asked.id AS id,
    asked.customer_id AS customer_id,
    asked.channel AS channel,
    asked.priority AS priority,
    asked.due_at AS due_at,
    asked.send_by AS send_by,
    asked.reserved_at AS reserved_at,
    asked.timezone AS timezone,
    asked.draw AS draw,
    asked.mailbox AS mailbox,
    asked.against AS against,
    asked.quiet_until AS quiet_until,
    asked.released AS released,
    CASE
      WHEN (asked.against IS NOT NULL) THEN asked.against
      WHEN (asked.send_by < :now OR asked.send_by < asked.quiet_until) THEN :param_3
      WHEN (asked.quiet_until IS NOT NULL) THEN :param_4
      ELSE CAST(NULL AS TEXT)
    END AS reason
  FROM (
    SELECT ends.id AS id,
      ends.customer_id AS customer_id,
      ends.channel AS channel,
      ends.priority AS priority,
      ends.due_at AS due_at,
      ends.send_by AS send_by,
      ends.reserved_at AS reserved_at,
      ends.timezone AS timezone,
      ends.draw AS draw,
      ends.mailbox AS mailbox,
      ends.against AS against,
      ends.ends AS quiet_until,
      ends.ends + (
        (
          (
            (
              ((:param_5 * ends.draw + :param_6) % :param_7) * (
                ((:param_5 * ends.draw + :param_6) % :param_7 + :param_5) % :param_7
              )
            ) % :param_7
          ) * :param_8
        ) / :param_7
      ) * :param_9 AS released
    FROM ends
  ) AS asked
)
INSERT INTO judged (message_id, customer_id, turn, reason, refused, until)
SELECT found.id, found.customer_id,
  CASE
    WHEN (found.reason IS NULL) THEN row_number() OVER (
      PARTITION BY found.mailbox, found.reason ORDER BY found.priority DESC, found.due_at, found.id
    )
    ELSE :param_1
  END AS anon_1,
  found.reason,
  found.reason IS NOT NULL AND found.reason != :param_2 AS anon_2,
  CASE WHEN (found.send_by < found.released) THEN found.send_by ELSE found.released END AS anon_3
FROM found;
-- param_1=0 param_2='quiet_hours' param_3='stale' param_4='quiet_hours' param_5=1357928822 param_6=885653102
-- param_7=2147483647 param_8=1800 param_9=1000000 param_10=1 param_11=0 param_12=0 channel_1='sms'
-- param_13=60000000 param_14=1440 param_15=1200 param_16=480 param_17=86400000000 param_18=1200 param_19=1
-- param_20=0 param_21=86400000000 param_22=28800000000 channel_2='sms' param_23=1140 param_24=540
-- param_25=1140 param_26=1 param_27=0 param_28=86400000000 param_29=32400000000 param_30=1 param_31=0
-- param_32='Europe/Berlin' reason_1='not_yet_reachable' category_1='transactional'

SELECT (
  EXISTS (
    SELECT :param_1 AS anon_2
    FROM judged
    JOIN customer AS me ON me.id = judged.customer_id
    JOIN customer AS mate ON mate.email_key = me.email_key AND mate.id != me.id
  )
)
  OR (
    EXISTS (
      SELECT :param_1 AS anon_2
      FROM judged
      JOIN customer AS me ON me.id = judged.customer_id
      JOIN customer AS mate ON mate.phone = me.phone AND mate.id != me.id
    )
  ) AS anon_1;
-- param_1=1

SELECT max(judged.turn) AS max_1
FROM judged;

WITH rooms AS MATERIALIZED (
  SELECT message.id AS id,
    message.customer_id AS customer_id,
    message.priority AS priority,
    message.send_by AS send_by,
    (
      SELECT other.reserved_at AS reserved_at
      FROM message AS other
      WHERE other.customer_id = message.customer_id
        AND other.reserved_at > CAST(:now AS BIGINT) - :param_16
        AND other.state IN ('queued', 'claimed', 'sent', 'in_doubt')
        AND NOT (
          EXISTS (
            SELECT *
            FROM judged AS mine
            WHERE mine.message_id = other.id AND (mine.turn >= :this_turn OR mine.reason IS NOT NULL)
          )
        )
      ORDER BY other.reserved_at DESC
      LIMIT :param_17 OFFSET :param_18
    ) + :param_19 AS room_0,
    CASE
      WHEN (message.channel = :channel_3) THEN (
        SELECT other.reserved_at AS reserved_at
        FROM message AS other
        WHERE other.customer_id = message.customer_id
          AND other.reserved_at > CAST(:now AS BIGINT) - :param_20
          AND other.state IN ('queued', 'claimed', 'sent', 'in_doubt')
          AND NOT (
            EXISTS (
              SELECT *
              FROM judged AS mine
              WHERE mine.message_id = other.id AND (mine.turn >= :this_turn OR mine.reason IS NOT NULL)
            )
          )
          AND other.channel = :channel_4
        ORDER BY other.reserved_at DESC
        LIMIT :param_21 OFFSET :param_22
      ) + :param_23
    END AS room_1
  FROM message
  JOIN judged ON judged.message_id = message.id
  WHERE judged.turn = :this_turn
),
over AS MATERIALIZED (
  SELECT rooms.id AS id,
    rooms.customer_id AS customer_id,
    rooms.priority AS priority,
    rooms.send_by AS send_by,
    rooms.room_0 AS room_0,
    rooms.room_1 AS room_1,
    CASE
      WHEN (rooms.room_1 IS NOT NULL) THEN :param_13
      WHEN (rooms.room_0 IS NOT NULL AND rooms.room_0 >= coalesce(rooms.room_1, :coalesce_1)) THEN :param_14
      WHEN (rooms.room_1 IS NOT NULL AND rooms.room_1 >= coalesce(rooms.room_0, :coalesce_2)) THEN :param_15
    END AS rule
  FROM rooms
)
UPDATE judged
SET reason=found.reason, refused=found.refused, until=found.until, rule=found.rule, had=found.had
FROM (
  SELECT over.id AS id,
    over.rule AS rule,
    CASE over.rule
      WHEN :param_1 THEN (
        SELECT count(*) AS count_1
        FROM message AS other
        WHERE other.customer_id = over.customer_id
          AND other.reserved_at > CAST(:now AS BIGINT) - :param_2
          AND other.state IN ('queued', 'claimed', 'sent', 'in_doubt')
          AND NOT (
            EXISTS (
              SELECT *
              FROM judged AS mine
              WHERE mine.message_id = other.id AND (mine.turn >= :this_turn OR mine.reason IS NOT NULL)
            )
          )
      )
      WHEN :param_3 THEN (
        SELECT count(*) AS count_2
        FROM message AS other
        WHERE other.customer_id = over.customer_id
          AND other.reserved_at > CAST(:now AS BIGINT) - :param_4
          AND other.state IN ('queued', 'claimed', 'sent', 'in_doubt')
          AND NOT (
            EXISTS (
              SELECT *
              FROM judged AS mine
              WHERE mine.message_id = other.id AND (mine.turn >= :this_turn OR mine.reason IS NOT NULL)
            )
          )
          AND other.channel = :channel_1
      )
    END AS had,
    CASE over.rule WHEN :param_5 THEN over.room_0 WHEN :param_6 THEN over.room_1 END AS until,
    CASE
      WHEN CASE over.rule
        WHEN :param_7 THEN EXISTS (
          SELECT 1 AS anon_1
          FROM message AS other
          WHERE other.customer_id = over.customer_id
            AND other.reserved_at > CAST(:now AS BIGINT) - :param_8
            AND other.state IN ('queued', 'claimed', 'sent', 'in_doubt')
            AND NOT (
              EXISTS (
                SELECT *
                FROM judged AS mine
                WHERE mine.message_id = other.id AND (mine.turn >= :this_turn OR mine.reason IS NOT NULL)
              )
            )
            AND other.priority > over.priority
        )
        WHEN :param_9 THEN EXISTS (
          SELECT 1 AS anon_1
          FROM message AS other
          WHERE other.customer_id = over.customer_id
            AND other.reserved_at > CAST(:now AS BIGINT) - :param_10
            AND other.state IN ('queued', 'claimed', 'sent', 'in_doubt')
            AND NOT (
              EXISTS (
                SELECT *
                FROM judged AS mine
                WHERE mine.message_id = other.id AND (mine.turn >= :this_turn OR mine.reason IS NOT NULL)
              )
            )
            AND other.channel = :channel_2
            AND other.priority > over.priority
        )
      END THEN :param_11
      ELSE :param_12
    END AS reason,
    over.rule IN (:rule_1_1)
      OR CASE over.rule
        WHEN :param_5 THEN over.room_0 WHEN :param_6 THEN over.room_1
      END > over.send_by AS refused
  FROM over
  WHERE over.rule IS NOT NULL
) AS found
WHERE judged.message_id = found.id;
-- param_1=0 param_2=604800000000 param_3=1 param_4=86400000000 channel_1='sms' param_5=0 param_6=1 param_7=0
-- param_8=604800000000 param_9=1 param_10=86400000000 channel_2='sms' param_11='lower_priority'
-- param_12='over_limit' param_13=1 coalesce_1=0 param_14=0 coalesce_2=0 param_15=1 param_16=604800000000
-- param_17=1 param_18=0 param_19=604800000000 channel_3='sms' param_20=86400000000 channel_4='sms' param_21=1
-- param_22=1 param_23=86400000000 rule_1_1=1

SELECT judged.message_id
FROM judged
WHERE judged.reason IS NOT NULL
LIMIT :param_1 OFFSET :param_2;
-- param_1=1 param_2=0

UPDATE message
SET state=CASE
  WHEN judged.refused THEN :param_1 ELSE :param_2
END, reason=judged.reason,
  ready_at=CASE WHEN judged.refused THEN message.ready_at ELSE judged.until END,
  reserved_at=:reserved_at
FROM judged
WHERE message.id = judged.message_id
  AND message.id IN (SELECT judged.message_id FROM judged WHERE judged.reason IS NOT NULL)
  AND message.state = 'queued';
-- param_1='refused' param_2='queued' reserved_at=None

INSERT INTO trace (customer_id, journey_id, enrollment_id, step_id, at, decision, reason, detail)
SELECT message.customer_id, message.journey_id, message.enrollment_id, message.step_id,
  :now AS anon_1,
  CASE WHEN judged.refused THEN :param_1 ELSE :param_2 END AS anon_2,
  judged.reason,
  CASE
    WHEN (judged.refused = 1 AND judged.rule IS NULL) THEN json_object(
      :param_3, message.id, :param_4, message.channel, :param_5, message.template
    )
    WHEN judged.refused THEN json_object(
      :param_6, message.id, :param_7, message.channel, :param_8, message.template, :param_9, judged.had,
      :param_10,
      CASE judged.rule WHEN :param_11 THEN :param_12 WHEN :param_13 THEN :param_14 END
    )
    WHEN (judged.rule IS NULL) THEN json_object(
      :param_15, message.id, :param_16, message.channel, :param_17, message.template, :param_18, judged.until
    )
    ELSE json_object(
      :param_19, message.id, :param_20, message.channel, :param_21, message.template, :param_22, judged.until,
      :param_23, judged.had, :param_24,
      CASE judged.rule WHEN :param_11 THEN :param_12 WHEN :param_13 THEN :param_14 END
    )
  END AS anon_3
FROM message
JOIN judged ON judged.message_id = message.id
WHERE message.id IN (SELECT judged.message_id FROM judged WHERE judged.reason IS NOT NULL)
  AND message.reason = judged.reason
ORDER BY message.id;
-- param_1='refused' param_2='held' param_3='message' param_4='channel' param_5='template' param_6='message'
-- param_7='channel' param_8='template' param_9='had' param_10='limit' param_11=0 param_12='1 in 1w'
-- param_13=1 param_14='2 in 1d on sms' param_15='message' param_16='channel' param_17='template'
-- param_18='until' param_19='message' param_20='channel' param_21='template' param_22='until' param_23='had'
-- param_24='limit'
