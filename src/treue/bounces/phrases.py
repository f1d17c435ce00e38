"""The table of wordings: what bounces say in words, by cause, in the order in which the causes are to be trusted.

The texts they are held against are lower-case and in one line, with `<a>` for addresses and `<h>` for host names.
Gaps are bounded, so reading is linear; white space that begins a line of a pattern here is not part of it.
"""

from __future__ import annotations

from treue.bounces.record import Cause

_WHO = r"(?:user|recipient|mailbox|account|address|addressee|customer|subscriber|person|e-?mail|alias|name)"

STRONG: tuple[tuple[Cause, str], ...] = (
    (Cause.sender_rejected, r"""
        domain of sender|sender(?:'s)? (?:e-?mail )?(?:address|domain).{0,60}(?:reject|does not|not (?:exist|found)|invalid|refused|unknown|unverif)
        |sender (?:address )?(?:was |is )?(?:reject|refused|denied|verif|unknown|invalid|not)|(?:invalid|unknown|unverified|bad) sender|rejected mail from
        |cannot resolve.{0,30}sender|unresolvable (?:from|sender)|mail from.{0,40}(?:not exist|rejected|unresolv)|return address
        |unable to verify (?:the )?sender|envelope sender"""),
    (Cause.mailbox_full, r"""
        (?:mail)?box.{0,40}(?:is |'s )?(?:full|over (?:its |the )?(?:limit|quota|size))|over.{0,12}quota|quota.{0,40}(?:exceed|exhaust|full|reached|violat)
        |exceed.{0,40}(?:quota|storage|mailbox|disk|space)|out of (?:quota|storage|disk)|(?:not|in)\s?(?:enough|sufficient) (?:storage|disk|space|room|quota).{0,40}
        (?:mailbox|user|recipient|account|message)|mailbox (?:size|storage|quota|has (?:reached|exceeded)|exceed|limit|too large|temporarily full)
        |(?:account|user|recipient|inbox|maildrop|mailfolder|storage|disk|storagequota|folder).{0,25}(?:\bis |\balmost )?full\b|full mailbox|disk quota|quotaexceeded
        |maildir over|not enough disk space|too (?:many|much) (?:messages|mail|data) (?:in|on) (?:the |this )?(?:mailbox|account|drop)|no (?:more )?space|space not enough|storage (?:exceeded|limit)
        |postfach.{0,30}voll|speicherplatz|kontingent|bo[iî]te.{0,40}pleine|quota d[eé]pass|buz[oó]n.{0,20}lleno|casella.{0,30}piena|caixa.{0,30}cheia
        |переполнен|ящик.{0,30}полон|いっぱい|一杯|容量|邮箱.{0,10}满|空间不足|메일함|skrzynka.{0,30}pe[lł]na"""),
    (Cause.message_too_big, r"""
        (?:message|mail|e-?mail|size|attachment|length|body).{0,30}(?:exceed|too (?:big|large|long)|larger than|over (?:the )?(?:maximum|limit|size))
        |too (?:big|large) (?:for|message|e?mail)|(?:size|length) (?:limit|exceed|restriction)|(?:maximum|max|fixed) (?:message |mail )?size|zu gro(?:ß|ss)
        |messagetoobig|sizeexceeded|trop (?:gros|volumineux)|demasiado grande|troppo grande"""),
    (Cause.authentication_failed, r"""
        \bspf\b|\bdkim\b|\bdmarc\b|\barc (?:fail|seal)|unauthenticated|authentication.{0,30}(?:required|fail|information|check|credential)|not authenti|must (?:be )?authenticat
        |sender policy framework|fails? to pass|sender id \(pra\)|auth(?:entication)? required|not sent from an authorized"""),
    (Cause.relaying_denied, r"""
        \brelay(?:ing|ed)?\b.{0,30}(?:den|not|prohib|refus|reject|disab|forbid|restrict|unauth)|(?:no|not|cannot|unable to|can't|won't|insecure mail|denied to|prohibited|don't) relay
        |rcpthosts|we do not relay|not a (?:gateway|relay)|unable to relay|not (?:allowed|permitted) to relay|relay(?:ing)? access"""),
    (Cause.greylisted, r"gr[ea]y-?\s?list|postgrey"),
    (Cause.rate_limited, r"""
        too many (?:\w{1,20} ){0,3}(?:connection|session|message|mail|e-?mail|recipient|error|invalid|concurrent|request|command|rcpt|smtp|unknown)|rate.{0,12}limit|throttl|too fast|too frequent
        |frequency|(?:exceed|reach).{0,60}(?:per (?:hour|minute|day|second)|limit on|connection|hourly|daily|maximum number|rate)|sending limit|receiving mail (?:at|too)|unexpected volume|slow down|daily (?:quota|limit)"""),
    (Cause.recipient_refused, r"""
        recipient preferences|recipient(?:'s)? (?:settings|policy|has (?:blocked|refused|rejected))|refused by (?:the )?recipient|not on (?:the |their )?(?:white|allow|safe)
        |(?:restricted|allowed) (?:to receive|senders)|only accept|permission to (?:post|send)|does ?n[o']t accept (?:mail|messages|e-?mail) from|(?:user|recipient) filter|resolver\.rst|delivery not authorized"""),
    (Cause.no_mail_accepted, r"null mx|nullmx|an mx or srv record indicated no smtp service|does ?n[o']t (?:accept|receive) (?:any )?(?:e-?)?mail\b(?! from)|domain (?:does not|never) accept|no mail accepted|mx or srv record indicated no smtp"),
    (Cause.domain_unknown, r"""
        (?:host|domain|destination|\bmx\b)(?: name| or domain name| or host)?[^:;]{0,40}(?:unknown|not (?:be )?(?:found|exist|resolv|known)|does ?n[o']t exist|could ?n[o']t be (?:found|resolved)|invalid|no such|unrouteable)
        |(?:unknown|no such|invalid|illegal|bad|unrouteable|non-?existent|not a valid|can'?t find|could ?n[o']t find(?: any)?|unresolvable) (?:mail )?(?:host|domain|destination|mail server)|all relevant mx records point|no (?:valid )?(?:mx|mail exchanger)
        |nxdomain|domain is not reachable|dns lookup failure|unrouteable mail domain|(?:host|server) (?:lookup|name).{0,20}(?:fail|not found)|name (?:or service )?not known|domain name not found|no mail (?:server|host)s? (?:for|found)"""),
    (Cause.moved, r"""(?:user|recipient|mailbox|account|address|<a>|person|he|she).{0,20}(?:has |have )?(?:moved|changed (?:its|their|his|her)? ?address)|has moved|no longer (?:at this|with)
        |address (?:has )?changed|new (?:e-?mail )?address is|moved to"""),
    (Cause.system, r"(?:could ?n[o']t|can't|cannot|unable to) (?:create|open|write|lock|chdir|access|save)|permission denied|read-only file"),
    (Cause.mailbox_disabled, r"""
        %(who)s.{0,60}(?:disabled|suspended|inactive|locked|discontinued|deactivat|not active|not enabled|dormant|frozen|closed|expired|on hold|unavailable for delivery|inaccessible|cannot receive|not (?:currently )?(?:accept|permitted)|isn't accept)
        |(?:disabled|suspended|inactive|locked|deactivated|closed|discontinued) (?:mail)?%(who)s|not (?:currently )?(?:accepting|receiving|allowed to receive) (?:any )?(?:mail|messages|e-?mail)|temporarily (?:disabled|locked|suspended)
        |(?:konto|postfach).{0,30}(?:gesperrt|deaktiviert|inaktiv)|compte.{0,30}(?:d[eé]sactiv|suspendu|inactif)|停止""".replace("%(who)s", _WHO)),
    (Cause.user_unknown, r"""
        \b550 5\.4\.1 .{0,80}recipient address rejected: access denied|\b542\b.{0,20} rejected|(?:unknown|no such|no valid|not a (?:valid|known)|non-?existent|non-?existing|invalid|illegal|bad|nonlocal|undeliverable|not our|no) (?:(?:local|mail|virtual|final|delivery) ){0,2}(?:%(who)s|recipients|users|user ?id)\b(?! (?:list|limit))
        |%(who)s(?:\(s\)|s)?(?: name| address| <a>)?[ :.,-]{0,3}(?:(?:is|was|are|could|does|has|can) )?(?:currently |been )?(?:unknown|not (?:be )?(?:found|exist|known|listed|recogni|valid|a valid|here|located|reali[sz]able|available here)|invalid|non-?existent|undefined|no longer (?:exist|valid|available|in use|active|on)|does ?n[o']t (?:exist|have)|doesn't|removed|deleted|unrouteable|terminated|wrong|incorrect)
        |(?:does ?n[o']t|not|did ?n[o']t|no longer) (?:currently )?(?:exist|have an? (?:\S{1,40} )?account|match|recogni[sz]ed?|known)(?! from)|(?:no|not) (?:mailbox|account|mail ?drop|inbox|home) (?:here|by that name|with|for|named)|unknown (?:or illegal|to|local|virtual|in)|not (?:listed|found) in
        |address(?:ee)? (?:unknown|error|not)|recip(?:ient)?notfound|no (?:one|body) (?:here )?(?:by|with) (?:that|this)|doesn't have a (?:\S{1,40} )?account|no such (?:person|alias|entry|name|address|here|\S{1,30} here)|(?:dead|unused|obsolete) (?:mail)?(?:address|box|account)
        |user.{0,15}not (?:in|listed|known|exist)|mailbox name not|unrouteable address|unallocated|not exist in|usernotfound|user_unknown|badrcpt|misspelled|check (?:if|that|whether) (?:the )?address
        |(?:benutzer|empf[aä]nger|adresse|teilnehmer|konto|postfach).{0,40}(?:unbekannt|nicht (?:gefunden|bekannt|vorhanden|existier|vergeben)|existiert nicht|ung[uü]ltig)|unbekannte[rn]? (?:empf|benutzer|adress|nutzer)|kein(?:e|en)? (?:benutzer|mailbox|postfach)
        |(?:adresse|utilisateur|destinataire|bo[iî]te).{0,30}(?:inconnu|n'existe pas|invalide|inexistant|introuvable)|(?:usuario|destinatario|direcci[oó]n|cuenta).{0,30}(?:desconocid|no existe|inexistente)
        |(?:utente|indirizzo|casella|destinatario).{0,30}(?:sconosciut|non esiste|inesistente)|(?:usu[aá]rio|endere[cç]o).{0,30}(?:inexistente|n[aã]o existe|desconhecido)
        |宛先.{0,20}(?:不明|存在|見つか)|存在しま|見つかりません|ユーザ.{0,15}(?:不明|存在)|メールアドレス.{0,30}(?:ありません|誤り|間違|存在)|用户不存在|收件人.{0,20}不存在|(?:пользовател|адрес|ящик).{0,40}(?:не (?:найден|существует|зарегистрирован)|неизвестн)|нет такого""".replace("%(who)s", _WHO)),
    (Cause.content_rejected, r"""
        virus|malware|infect|trojan|phish|(?:attachment|file|content|extension)s?.{0,40}(?:reject|not (?:allowed|accept|permitted)|block|prohibit|forbid|present|unaccept|filter|restrict)|content (?:reject|policy|filter)|blocked.{0,30}content
        |malformed (?!or unexpected name)|(?:duplicate|missing|invalid|multiple|bad|non-compliant|headers? (?:too|line|not|field)).{0,20}header|headers too|not rfc|rfc ?\d{3,4}.{0,20}(?:complian|conform|violat|format)|(?:violat|complian|conform|according).{0,20}rfc ?\d|message content|8-?bit|line too long|bare (?:lf|cr|newline)|not properly formatted|conversion"""),
    (Cause.spam, r"\bspam(?!haus|cop)|unsolicited|junk|\bbulk mail|mass mail|blacklisted url|considered (?:as )?(?:un|abus)|looks like.{0,20}(?:ad|uce)|\buce\b|bayes|mcspam"),
    (Cause.blocked, r"""
        black-?\s?list|block(?:ed|ing)?\b|block-?\s?list|den(?:y|ied) ?list|dnsbl|\brbl\b|spamhaus|spamcop|surbl|uribl|sorbs|barracuda(?:central)?|reputation|reverse dns|\brdns\b|\bptr\b|client host|\b(?:ip|host|server|client|domain)\b[^:]{0,40}(?:not (?:allowed|accept|permit|authori|welcome)|reject|refus|denied|banned|listed|mismatch)|\b(?:connection|network)\b[^:]{0,30}(?:not (?:allowed|accept|permit)|reject|denied|banned)
        |helo|ehlo|mismatch|no (?:reverse|ptr)|dynamic (?:ip|address)|dial-?up|bad dns|smtp server of your isp|access (?:denied|rejected|not)|complaint|banned|\bno smtp service|not rdns"""),
    (Cause.policy, r"polic(?:y|ies)|denied|prohibited|not (?:allowed|authori[sz]ed|permitted)|administrat(?:ive|or)|unauthori[sz]ed|security (?:polic|reason|violat|rule|risk)|violat|forbidden|rejected for|confidential|encrypt|\btls\b"),
)  # fmt: skip
"""Wordings that say what is the matter, whatever the code beside them is."""

WEAK: tuple[tuple[Cause, str], ...] = (
    (Cause.expired, r"retry time-?\s?out|(?:delivery|queue) time.{0,20}(?:expired|exceeded)|message (?:is )?too old"),
    (Cause.network, r"""
        timed? ?-?out|could ?n[o']t connect|connect(?:ion)? (?:to|refused|reset|failed|closed|lost|dropped|timed|was)|unreachable|no route|network|host.{0,20}(?:down|not (?:responding|reachable)|unreachable)|lost connection|unable to connect
        |(?:routing|mail) loop|too many hops|hop count|loop(?:s|ing)? (?:back|detected|alert)|dns (?:error|fail|problem)|temporary lookup|try again|name service|name server|servfail"""),
    (Cause.expired, r"""
        (?:time|period|retry|queue).{0,30}(?:expired|exceeded|too long|out)|expired|could ?n[o']t (?:be )?deliver.{0,30}for.{0,20}(?:day|hour|minute)|for \d{1,3} (?:day|hour|minute)s?|giv(?:en|ing) up|delayed|attempts|too long|undelivered after|still being retried"""),
    (Cause.system, r"(?:internal|system|mailer) (?:error|problem)|mailer exit|command (?:output|died)|software (?:error|caused)"),
    (Cause.user_unknown, r"""
        (?:mailbox|recipient|address|user).{0,25}(?:unavailable|rejected|not accepted)|recipient.{0,12}(?:rejected|refused)|mailbox unavailable|address rejected"""),
    (Cause.system, r"""
        system (?:error|problem|resource|config)|internal (?:error|server|system|software)|service (?:un|not )?avail|temporar|local (?:error|config)|i/o error|disk|resources|out of memory|not available|configuration|mailer|server (?:error|busy|is|config)|command (?:output|died)|later|deferred|unexpected|transaction failed|crash|storage|service refus"""),
    (Cause.protocol, r"syntax|sequence of commands|command (?:not|un)|unrecogni[sz]ed|not implemented|protocol|parameter|starttls|pipelin"),
)  # fmt: skip
"""Wordings that are believed where neither a strong wording nor a code says more."""
