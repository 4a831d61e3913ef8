"""Why each message comes, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Trouble:
    """Messages with a cause and a remedy in common.

    They have these words; where several troubles' words are in one, the longest count.
    """

    words: str
    cause: str
    remedy: str


TROUBLES: Mapping[str, Sequence[Trouble]] = {
    "Starting and stopping": (
        Trouble(
            "nothing runs in",
            "No stack is up in this home.",
            "Start it, or set `FIRSTCLICK_HOME` to the home that is meant.",
        ),
        Trouble(
            "expected it ready: wait",
            "It is starting or stopping just now.",
            "Wait; `firstclick logs -f supervisor` shows how far it is.",
        ),
        Trouble(
            "the stack is …",
            "It is starting or stopping just now.",
            "Wait, and ask again.",
        ),
        Trouble(
            "runs with --servers-only",
            "It was started without models and workers.",
            "`firstclick down`, then `firstclick up`.",
        ),
        Trouble(
            "was stopped while it started",
            "Somebody ran `firstclick down`, or sent a signal.",
            "Start it again.",
        ),
        Trouble(
            "stopped while it was waited for",
            "Two started it at once, and the other one was ended.",
            "Start it again.",
        ),
        Trouble(
            "the supervisor ended with status",
            "The process that keeps all others ended unexpectedly.",
            "Its log's last lines say why: `firstclick logs supervisor`.",
        ),
        Trouble(
            "the stack failed to start",
            "A process did not start, and gave no reason.",
            "`firstclick logs`.",
        ),
        Trouble(
            "is held by another firstclick",
            "A supervisor that is about to end still holds the home.",
            "Wait; if it stays so, `firstclick down`.",
        ),
        Trouble(
            "is in use by another firstclick",
            "Another command has the home, or a stack is up in it.",
            "Wait for it, or `firstclick down`.",
        ),
        Trouble(
            "expected it stopped",
            "The command needs a home in which nothing runs.",
            "`firstclick down` first.",
        ),
        Trouble(
            "was stopped before it began",
            "Somebody ended the start.",
            "Start it again.",
        ),
        Trouble(
            "… was stopped",
            "Somebody ended the start.",
            "Start it again.",
        ),
        Trouble(
            "stopped while Kafka was downloaded",
            "Somebody ended the first start.",
            "Start it again; the download begins anew.",
        ),
        Trouble(
            "starts again in",
            "A process of the stack has ended by itself, or was killed.",
            "None, if it stays up then. If not, its own log says why it ends.",
        ),
        Trouble(
            "… does not run…; …",
            "A process has ended and is about to be started again.",
            "`firstclick logs` of it says why it ended.",
        ),
        Trouble(
            "ended at once: …; see …",
            "A process of the stack ended as soon as it was started.",
            "Remedy the reason in the message; its log may say more.",
        ),
        Trouble(
            "was not ready within",
            "A worker can't connect, or the machine is very busy.",
            "`firstclick logs` of it; start again when the machine has room.",
        ),
        Trouble(
            "could not be started",
            "A program is missing or may not be run.",
            "Install the requirements anew; see that the disk allows programs.",
        ),
    ),
    "The home": (
        Trouble(
            "is a symbolic link, expected a directory",
            "A link could be pointed elsewhere while the home is in use.",
            "Name the directory itself.",
        ),
        Trouble(
            "is a symbolic link, expected none in a home",
            "A link could be pointed elsewhere while the home is in use.",
            "Move what it leads to into the home.",
        ),
        Trouble(
            "belongs to user …, expected …: …",
            "Another user made the directory, or something in it.",
            "Take a home of your own, or become that user.",
        ),
        Trouble(
            "can be written to by others",
            "Others could decide what runs, and where passwords are sent.",
            "See that nothing in it is foreign, then take the permission away.",
        ),
        Trouble(
            "can be read by others, expected mode 0600",
            "A password or a token may be known to others.",
            "Take the permission away, or delete the file: another one is made.",
        ),
        Trouble(
            "expected an empty directory or an earlier home",
            "The directory holds something else.",
            "Name another directory; nothing in this one was touched.",
        ),
        Trouble(
            "has layout",
            "Another version of First Click made the home.",
            "Use that version, or back up with it and restore into a new home.",
        ),
        Trouble(
            "is damaged (…): delete it, it is made anew",
            "The file was cut off or edited.",
            "Delete it; it holds nothing that can't be made again.",
        ),
        Trouble(
            "on the way to the home …, can be changed by other users",
            "A directory above the home belongs to another user, or others may write "
            "to it: they could put another home in its place.",
            "Take a home below directories that only root and you may change, such as "
            "`/var/lib`; `/tmp` will do.",
        ),
        Trouble(
            "the home … can't be used",
            "The operating system refused a file: permission, or a full disk.",
            "See to what the message names.",
        ),
        Trouble(
            "the disk of",
            "There is no room left where the home is.",
            "Make room. What Kafka acknowledged is kept.",
        ),
        Trouble(
            "expected another user than root",
            "PostgreSQL does not run as root.",
            "Unset it (`nobody` is taken), or name an unprivileged user.",
        ),
        Trouble(
            "expected a user of this machine",
            "There is no user of that name.",
            "Name one that `id` knows.",
        ),
        Trouble(
            "who may not enter",
            "Started by root, PostgreSQL runs as another user, who has no way there.",
            "Take a home below directories that all may enter, such as `/var/lib`.",
        ),
        Trouble(
            "set FIRSTCLICK_POSTGRES_USER to its owner",
            "PostgreSQL's data were made by another user.",
            "Set the variable as it was then.",
        ),
        Trouble(
            "is taken, expected a free one for",
            "Something else listens on the port.",
            "Stop it, or set the port's variable to another one.",
        ),
        Trouble(
            "or … is taken, expected free ones for Kafka",
            "Something else listens on one of Kafka's ports.",
            "Stop it, or set `FIRSTCLICK_KAFKA_PORT`.",
        ),
        Trouble(
            "is free for …: set one that is",
            "All ports that are tried are taken.",
            "Set the port's variable.",
        ),
    ),
    "Settings": (
        Trouble(
            "expected …: correct it or unset it",
            "An environment variable's value can't be used.",
            "Give it the form in the message.",
        ),
        Trouble(
            "--every is",
            "The pause between two passes is not understood.",
            "Such as `30s`, `1m` or `2h`.",
        ),
        Trouble(
            "--… is …, expected a number",
            "An option's value is out of range.",
            "Give it a number in the range of the message.",
        ),
        Trouble(
            "was expected to be …, but is …",
            "An option of `firstclick generate` is out of range.",
            "Give it a number in the range of the message.",
        ),
        Trouble(
            "expected 'embedded'",
            "`up` starts the embedded engine alone.",
            "Unset `FIRSTCLICK_TARGET`, or see [Engines](../explanation/engines.md).",
        ),
        Trouble(
            "expected the address of a running server",
            "A worker was started by hand without addresses.",
            'Before it: `set -a; eval "$(firstclick env)"`.',
        ),
        Trouble(
            "DATABASE_URL can't be reached",
            "The server that the variable names does not answer, or refuses the login.",
            "Start it, correct the variable, or unset it.",
        ),
        Trouble(
            "DATABASE_URL is PostgreSQL",
            "The server is older than the models need.",
            "Upgrade it, or unset the variable.",
        ),
        Trouble(
            "expected UTF8, as events hold any character",
            "Another encoding has no bytes for some characters, or doesn't know which "
            "ones it holds; PostgreSQL would refuse well-formed events.",
            "`create database … encoding 'UTF8' template template0` there, and its "
            "name in `DATABASE_URL`. An encoding can't be changed afterwards.",
        ),
        Trouble(
            "is a standby, expected one that can be written to",
            "The address leads to a replica, which only repeats what its primary does.",
            "The primary's address in `DATABASE_URL`.",
        ),
        Trouble(
            "may not create schemas in the database",
            "The role in `DATABASE_URL` lacks the privilege to make the pipeline's "
            "schemas.",
            "`grant create on database … to …`, by the database's owner.",
        ),
        Trouble(
            "may not create tables in the schema",
            "The schema belongs to another role.",
            "`alter schema … owner to …`, or another `FIRSTCLICK_SCHEMA`.",
        ),
        Trouble(
            "may not create it: create it, or grant",
            "The dashboards' role is missing on the server that was given.",
            "`create role`, or `alter role … createrole`, by its administrator.",
        ),
        Trouble(
            "the topics can't be made on",
            "The cluster does not answer, or this client may not make topics.",
            "Start it, or have the topics made; see [Use your own Kafka]"
            "(../how-to/use-your-own-servers.md#kafka).",
        ),
        Trouble(
            "is not compacted, so",
            "The topic was made by somebody else.",
            "`kafka-configs --alter` it; messages so far stay as they are.",
        ),
        Trouble(
            "has the producers' times",
            "The topic was made by somebody else.",
            "`kafka-configs --alter` it; messages so far keep their times.",
        ),
        Trouble(
            "so they can't all be read again",
            "Kafka forgets messages before the models do: the project's `retention` or "
            "`attribution_window` is longer than when the topic was made.",
            "`kafka-configs --alter` it. `firstclick up` does so with its own Kafka.",
        ),
        Trouble(
            "of seconds, minutes, hours or days",
            "`attribution_window` or `retention` in `dbt_project.yml` is written in "
            "another form, or in months or years, whose length varies.",
            "Write it as `10 minutes`, `36 hours` or `30 days`.",
        ),
        Trouble(
            "the topics' retention can't be set on",
            "Its own Kafka did not answer, or refused.",
            "See `logs/kafka.log` in the home, and start again.",
        ),
    ),
    "Kafka and PostgreSQL of its own": (
        Trouble(
            "could not be downloaded",
            "The first start fetches Kafka from Maven's repository.",
            "See to the network or the proxy, and start again.",
        ),
        Trouble(
            "came with another content",
            "A file is not the one that the lock file names.",
            "Don't use it. Ask who runs the mirror or the proxy.",
        ),
        Trouble(
            "Kafka's files can't be kept in",
            "No room or no permission in the cache.",
            "Make room, or set `XDG_CACHE_HOME`.",
        ),
        Trouble(
            "Kafka did not answer on",
            "It starts slowly on a busy machine, or hangs.",
            "`firstclick logs kafka`; start again.",
        ),
        Trouble(
            "Kafka could not format",
            "No room or no permission for its data.",
            "See to what the message says.",
        ),
        Trouble(
            "lacks meta.properties",
            "Kafka's data were moved or deleted in part.",
            "Restore the directory, or delete it and start without its messages.",
        ),
        Trouble(
            "was written by Kafka",
            "Another major version made the data.",
            "`firstclick backup` by the version that made them, then `restore`.",
        ),
        Trouble(
            "Kafka ended at once: …; see …",
            "Kafka can't use its data, or the machine has no memory for it.",
            "The message has its reason; `firstclick logs kafka` has all of it.",
        ),
        Trouble(
            "PostgreSQL ended at once: …; see …",
            "PostgreSQL can't use its data.",
            "The message has its reason; `firstclick logs postgres` has all of it.",
        ),
        Trouble(
            "PostgreSQL did not answer on",
            "Recovery after a crash takes long, or the machine is very busy.",
            "`firstclick logs postgres`; start again.",
        ),
        Trouble(
            "PostgreSQL could not make",
            "No room or no permission for its data.",
            "See to what the message says.",
        ),
        Trouble(
            "lacks PG_VERSION",
            "PostgreSQL's data were moved or deleted in part.",
            "Restore the directory, or delete it: Kafka's messages are read again.",
        ),
        Trouble(
            "was written by PostgreSQL",
            "Another major version made the data.",
            "`pg_upgrade`, or another home; see also `firstclick backup`.",
        ),
        Trouble(
            "PostgreSQL refuses the password in",
            "The file is not the one that the data were made with.",
            "Put the file back from a backup of the home.",
        ),
    ),
    "TLS": (
        Trouble(
            "is not the key of …",
            "The key was made for another certificate.",
            "Set `FIRSTCLICK_TLS_KEY` to the file that came with the certificate.",
        ),
        Trouble(
            "where the own servers listen: give one",
            "The own servers are reached by that address alone, which clients compare.",
            "Have a certificate signed with `IP:127.0.0.1` as an alternative name, or "
            "unset the three files to have one generated.",
        ),
        Trouble(
            "expected by its owner alone: keep what FIRSTCLICK_TLS_CERTIFICATE",
            "Another user could put another file in the place of a certificate's.",
            "Keep the files below directories that only root and you may change.",
        ),
        Trouble(
            "expected PEM there",
            "A file that `FIRSTCLICK_TLS_…` names is not there, or not yours to read.",
            "Correct the path, or its permissions.",
        ),
        Trouble(
            "are not what was expected (…)",
            "One of the files is of another format, or the key has a passphrase.",
            "Convert it with `openssl x509` or `openssl pkey`.",
        ),
        Trouble(
            "holds no certificate",
            "A file in the home's `tls` was damaged or edited.",
            "Delete the directory; clients elsewhere need the new `ca.pem` then.",
        ),
        Trouble(
            "asks for TLS, for which there is no",
            "The wheel's clients were built without TLS.",
            "Install PostgreSQL's clients, or set `FIRSTCLICK_POSTGRES_PROGRAMS`.",
        ),
        Trouble(
            "on the way to FIRSTCLICK_POSTGRES_PROGRAMS, can be changed",
            "Another user could put other programs there, which you would run.",
            "Install them below directories that only root and you may change.",
        ),
        Trouble(
            "FIRSTCLICK_POSTGRES_PROGRAMS is …, which has no",
            "The directory is another one, or holds a part of the programs only.",
            "Name the one with `postgres` and `psql` in it.",
        ),
        Trouble(
            "may not enter …: set FIRSTCLICK_POSTGRES_PROGRAMS",
            "Started by root, PostgreSQL runs as another user, who can't get there.",
            "Move the programs, or open the directories on the way to them.",
        ),
        Trouble(
            "was built without TLS",
            "The wheel's PostgreSQL, which `FIRSTCLICK_TLS` can't make speak it.",
            "Set `FIRSTCLICK_POSTGRES_PROGRAMS` to another PostgreSQL 18's programs.",
        ),
        Trouble(
            "… is not set, expected it with …: set it",
            "Of settings that go together, one is missing.",
            "Set it, or unset the others.",
        ),
    ),
    "Models": (
        Trouble(
            "has no dbt_project.yml",
            "The package is installed without the clone, which holds the models.",
            "`pip install --editable` from a clone.",
        ),
        Trouble(
            "dbt failed",
            "A model, a macro or a seed can't be deployed. Of a seed the message says "
            "file, line and key, or which stored row has a value that is refused now.",
            "Correct it; `firstclick logs dbt` has all that dbt said. A stored row is "
            "corrected by SQL: `firstclick up --servers-only --detach`, then "
            "`firstclick psql`.",
        ),
        Trouble(
            "the database can't be read",
            "PostgreSQL went away while the models were deployed.",
            "Start again.",
        ),
        Trouble(
            "in the database, found none: deploy the models first",
            "A worker was started on a database without the models.",
            "`firstclick up`, or `dbt run`; see `FIRSTCLICK_SCHEMA`.",
        ),
        Trouble(
            "the database holds no models in schema",
            "Nothing was deployed there.",
            "`firstclick up` or `dbt run`; see `FIRSTCLICK_SCHEMA`.",
        ),
        Trouble(
            "differ from what the database holds, or dbt changes them",
            "The project was edited and not deployed.",
            "`dbt run`.",
        ),
        Trouble(
            "the database can't be verified",
            "It went away, or the role may not read all of it.",
            "`firstclick status`; verify again.",
        ),
        Trouble(
            "without DATABASE_URL, expected both",
            "Another engine than the embedded one is where you say it is.",
            "Set `DATABASE_URL`.",
        ),
    ),
    "Carrying, publishing, expiring": (
        Trouble(
            "trying again in",
            "Kafka or PostgreSQL does not answer, or refused something.",
            "None, if `works again` follows; else see to what it names. Nothing is "
            "lost meanwhile.",
        ),
        Trouble(
            "was deleted and created again, or is another Kafka's",
            "The topic has another id than the one that was read.",
            "None: the connector reads it from its beginning. The events of the old "
            "topic stay, and newer messages with their keys replace them.",
        ),
        Trouble(
            "Kafka lost messages that were read",
            "A broker lost the end of its log, mostly in a power failure, and gives "
            "the offsets to other messages.",
            "None: the connector reads again from the last message that Kafka and the "
            "database have in common.",
        ),
        Trouble(
            "publishing all checkouts again",
            "The topic `checkouts` was created again, or lost its end, or somebody "
            "ran `firstclick publish --again`, or this version is the first that "
            "remembers what it has published.",
            "None: readers get each checkout once more.",
        ),
        Trouble(
            "are gone from Kafka before they were read",
            "The connector stood longer than Kafka keeps messages, or somebody "
            "deleted records. They are lost: `pipeline_health.lost_messages` counts "
            "them.",
            "Have them sent again; give the topics a longer `retention.ms`. The "
            "runbook says how to set the count back.",
        ),
        Trouble(
            "expected `firstclick publish --again`",
            "The publisher sends changes by itself; the command has nothing else to "
            "do than to have it send all.",
            "Say `--again`, or wait: `firstclick status` counts what is left.",
        ),
        Trouble(
            "is not there; waiting for it",
            "The topic does not exist.",
            "Make it: `firstclick up` does; see `FIRSTCLICK_TOPIC_PREFIX`.",
        ),
        Trouble(
            "kafka_offsets was changed by someone else",
            "Somebody edited the table, or restored it.",
            "None: the connector goes on from what the table says.",
        ),
        Trouble(
            "runs; waiting for it to end",
            "Two workers of a kind would write the same twice, so one waits.",
            "None, or end one of them.",
        ),
        Trouble(
            "the connector compared with Kafka",
            "The connector stands still, or Kafka does not answer it.",
            "`firstclick logs connector`; see "
            "[Data is not fresh](../how-to/runbook.md#data-is-not-fresh).",
        ),
        Trouble(
            "times in a row, the last time",
            "A process ends soon after each start.",
            "The message says how it ended, and `firstclick logs` of it why.",
        ),
        Trouble(
            "the … has failed for",
            "A worker tries the same again and again; messages wait meanwhile.",
            "Remedy what the message says. The worker goes on by itself.",
        ),
        Trouble(
            "stands still: it left its metrics",
            "The process was stopped by a signal, or its disk or processor hangs.",
            "`kill -CONT` and its number, see to the machine, or restart the stack.",
        ),
        Trouble(
            "is full, expected room: make some",
            "The disk of the home has less than 16 MB left.",
            "Delete or move what is not the pipeline's; it goes on by itself.",
        ),
        Trouble(
            "the live page does not answer",
            "It is overloaded or stands still.",
            "`firstclick logs live`; nothing else depends on it.",
        ),
        Trouble(
            "the topic … is not there",
            "Somebody deleted it, or `KAFKA_BOOTSTRAP_SERVERS` or "
            "`FIRSTCLICK_TOPIC_PREFIX` names others than before.",
            "`firstclick down` and `firstclick up` create it.",
        ),
        Trouble(
            "the connector does not read …",
            "The partition was added a moment ago, or the connector stands still.",
            "`firstclick logs connector`.",
        ),
        Trouble(
            "the publisher publishes nothing",
            "Kafka refuses its messages, or it waits for another publisher to end.",
            "`firstclick logs publisher`.",
        ),
        Trouble(
            "so rows may be wrong: run `dbt run`",
            "Somebody disabled, dropped or changed a trigger that keeps the models "
            "up to date.",
            "`dbt run` installs it again and computes the models that it keeps.",
        ),
        Trouble(
            "the connector reads nothing, but is",
            "A message batch that can't be read, or a transaction that holds the lock "
            "of the pipeline's writers.",
            "`firstclick logs connector` names the batch, or who is waited for; see "
            "[Data is not fresh](../how-to/runbook.md#data-is-not-fresh).",
        ),
        Trouble(
            "…: a message without a key has stopped it",
            "Materialize's source is an error, and so is what comes of it. Kafka holds "
            "what is sent meanwhile.",
            "`firstclick repair`; see [A message without a "
            "key](../how-to/deploy-to-materialize.md#repair-a-source-after-a-message-without-a-key).",
        ),
        Trouble(
            "Kafka does not answer on …: …",
            "Kafka does not run, or its address has changed.",
            "`firstclick logs kafka`, or see to the cluster.",
        ),
        Trouble(
            "PostgreSQL: …",
            "PostgreSQL does not run, or refuses a connection.",
            "`firstclick logs postgres`; for `too many connections`, see "
            "[Roles and limits](roles.md#limits).",
        ),
        Trouble(
            "nothing more can be expired",
            "Kafka or the database went away, or the models are not deployed.",
            "`firstclick status`, then again: a pass may be cut off.",
        ),
        Trouble(
            "was expected to acknowledge every message",
            "Kafka went away while the generator sent.",
            "See whether it runs and has room; what was acknowledged is kept.",
        ),
        Trouble(
            "Kafka was expected to answer at",
            "Nothing answers at the address.",
            "`firstclick up`, or correct `KAFKA_BOOTSTRAP_SERVERS`.",
        ),
        Trouble(
            "was expected to have the topic",
            "The topics are not made, or have a prefix.",
            "`firstclick up`; see `FIRSTCLICK_TOPIC_PREFIX`.",
        ),
        Trouble(
            "Settings of a Kafka producer were expected",
            "librdkafka does not know a setting.",
            "Correct it by librdkafka's `CONFIGURATION.md`.",
        ),
        Trouble(
            "Reference data was expected in",
            "The seeds are missing or can't be read.",
            "`python -m firstclick_generator.seeds` writes them.",
        ),
        Trouble(
            "was expected to have the columns",
            "A seed was edited.",
            "Add the column, or `git checkout seeds`.",
        ),
        Trouble(
            "was expected to hold rows",
            "A seed is empty.",
            "Add rows, or `git checkout seeds`.",
        ),
    ),
    "Backing up": (
        Trouble(
            "is not there, expected a file that backup has written",
            "There is no such file.",
            "Correct the path.",
        ),
        Trouble(
            "is no file, expected one that backup has written",
            "The path leads to a directory, a pipe or a device.",
            "Name the file itself.",
        ),
        Trouble(
            "let this user read it, or copy it to where you may",
            "The user who restores may not read the file.",
            "`chmod` it, or copy it; a backup is readable by its owner alone.",
        ),
        Trouble(
            "is no complete backup",
            "The file was cut off or changed on its way, or something else wrote it. "
            "Nothing was changed.",
            "Copy it again from where it was kept, and compare checksums.",
        ),
        Trouble(
            "expected a pipeline alone, as backup writes it",
            "`pg_dump` wrote the file, of more or of less than the pipeline.",
            "Make one by `firstclick backup`, or use `pg_restore` by yourself.",
        ),
        Trouble(
            "name a file in a directory of yours",
            "No permission or no room for the file. An earlier file of that name is "
            "as it was.",
            "Name another place.",
        ),
        Trouble(
            "already, expected none: restore into another home",
            "Restoring never overwrites events.",
            "Set `FIRSTCLICK_HOME` to a new directory.",
        ),
        Trouble(
            "expected the pipeline's own alone",
            "You, or somebody, made a table, view, function or the like that a restore "
            "would drop. Nothing was changed.",
            "Move it (`alter table … set schema …`) or drop it, then restore again.",
        ),
        Trouble(
            "has no schema",
            "The backup is of a pipeline in another schema.",
            "Set `FIRSTCLICK_SCHEMA` to that one.",
        ),
        Trouble(
            "which is to hold it: give a newer server",
            "The backup comes from a newer PostgreSQL than yours.",
            "Set `DATABASE_URL` to a server of that version or newer.",
        ),
        Trouble(
            "was made by a newer version of First Click",
            "This version would not understand what the backup holds.",
            "Restore with the version that made it, or a newer one.",
        ),
        Trouble(
            "nothing was changed: see to that and restore again",
            "PostgreSQL refused a statement, for example for want of room on its disk, "
            "or because the backup uses a type or function that your database lacks.",
            "The message has PostgreSQL's reason.",
        ),
        Trouble(
            "see to that and try again",
            "`pg_dump` gave up.",
            "The message has its reason.",
        ),
    ),
    "Watching": (
        Trouble(
            "those that have waited longest without a request are closed",
            "Something connects to the live page and sends no request: a scan, a "
            "broken client, or somebody who means to keep others out. Nobody who asks "
            "is kept out by it.",
            "See who connects: `ss -tn`. A proxy before the page can refuse them.",
        ),
        Trouble(
            "as many as the page may have: others are turned away",
            "More look at the live page than its process may have files open. Those "
            "who look go on; others get a 503 and try again by themselves.",
            "Raise the hard limit of open files (`ulimit -Hn`) and start again.",
        ),
        Trouble(
            "sessions of …: a transaction lasted longer than",
            "Somebody who reads as that role has lifted its limits, or a client keeps "
            "transactions open.",
            "Find out who has the role's password; `firstclick psql` shows the "
            "sessions in `pg_stat_activity`.",
        ),
        Trouble(
            "the password or the settings of … were changed",
            "Somebody who reads as that role changed them, which PostgreSQL can't "
            "forbid.",
            "Nothing, they are as before. To let in only those whom you trust, delete "
            "`grafana.password` in the home, run `firstclick up` again, and give the "
            "new password to them.",
        ),
        Trouble(
            "expected the database for the role that the dashboards read by",
            "The page was started by hand without an address.",
            'Before it: `set -a; eval "$(firstclick env --role grafana)"`.',
        ),
        Trouble(
            "which others can reach",
            "A page that others can reach needs a token.",
            "Set `FIRSTCLICK_LIVE_TOKEN`; `firstclick up` makes one itself.",
        ),
        Trouble(
            "the page can't be served on",
            "The address is not this machine's.",
            "Set `FIRSTCLICK_LIVE_HOST` to one that is, or to `0.0.0.0`.",
        ),
        Trouble(
            "set FIRSTCLICK_LIVE_PORT to a free port",
            "Something else listens on the page's port.",
            "Stop it, or take another port.",
        ),
        Trouble(
            "the page is served all the same",
            "The database did not answer when the page started.",
            "None: it is asked again.",
        ),
        Trouble(
            "asking failed",
            "A defect; the line's traceback says where.",
            "The panel goes on in some seconds; report it.",
        ),
        Trouble(
            "a panel's query failed",
            "A relation is missing, or the role may not read it.",
            "Deploy the models: `firstclick up` or `dbt run`.",
        ),
        Trouble(
            "The query takes longer than",
            "A panel's query reached its limit: much data, or a busy machine.",
            "Choose a shorter span; see who else uses the machine.",
        ),
        Trouble(
            "A relation that it reads is missing",
            "The models are not deployed, or a dashboard is newer than they are.",
            "`dbt run`.",
        ),
        Trouble(
            "The dashboards' role may not read",
            "Somebody revoked it, or a panel reads what is not for dashboards.",
            "`dbt run` grants what is to be read.",
        ),
        Trouble(
            "The database refused the query",
            "PostgreSQL's code says why.",
            "`firstclick logs live` has the whole sentence.",
        ),
        Trouble(
            "another site may not read this",
            "Another page's script asked for it.",
            "Open it in a tab of its own.",
        ),
        Trouble(
            "as the address: open it by that",
            "The page was asked for by a name that is not this machine's.",
            "Open it by that address; for others set `FIRSTCLICK_LIVE_HOST`.",
        ),
        Trouble(
            "the cookies can't be read",
            "The browser sends a malformed cookie.",
            "Remove the site's cookies.",
        ),
        Trouble(
            "expected the token",
            "The page can be reached by others, so it wants its token.",
            "Open the address that `firstclick up` printed; a program sends "
            "`Authorization: Bearer …`.",
        ),
        Trouble(
            "no dashboard",
            "There is none of that name.",
            "Take one of those in the message.",
        ),
        Trouble(
            "var-… is …, expected one of",
            "The address has a span that is not offered.",
            "Take one of those in the message.",
        ),
        Trouble(
            "has no dashboard: take all of the clone",
            "`grafana/dashboards` is missing beside the package.",
            "`git checkout grafana`.",
        ),
        Trouble(
            "is no dashboard that can be drawn",
            "The JSON has what the page does not know.",
            "Correct it there, or draw it in Grafana alone.",
        ),
        Trouble(
            "…: …: move it",
            "Two panels, or two dashboards, are in the same place.",
            "Move one of them.",
        ),
        Trouble(
            "has no variable",
            "A panel's SQL names a variable that the dashboard has not.",
            "Correct the dashboard's JSON.",
        ),
        Trouble(
            "correct it in the dashboard",
            "A panel's SQL has a macro or a duration of another kind.",
            "Correct the dashboard's JSON.",
        ),
        Trouble(
            "is …, expected …: choose one",
            "A variable has a value that the dashboard does not offer.",
            "Choose one of those in the message.",
        ),
        Trouble(
            "expected a schema's name",
            "The dashboard's variable `schema` is no name of a schema.",
            "Correct it in the dashboard.",
        ),
        Trouble(
            "nicegui is not installed",
            "The wheel that carries the charts' library is not there.",
            "Install the requirements anew.",
        ),
        Trouble(
            "has no index.js",
            "The wheel that carries the charts' library is of another version.",
            "Install the requirements anew.",
        ),
        Trouble(
            "has no logs",
            "Nothing was ever started in this home.",
            "`firstclick up`, or set `FIRSTCLICK_HOME`.",
        ),
        Trouble(
            "has no log of",
            "No process has that name.",
            "Take one of those in the message.",
        ),
        Trouble(
            "expected it to run until the end",
            "Somebody stopped the stack under the demonstration.",
            "Start it again.",
        ),
        Trouble(
            "PostgreSQL was expected to answer within",
            "The machine is very busy, or the server hangs.",
            "`firstclick status`, `firstclick logs postgres`.",
        ),
        Trouble(
            "the generator ended",
            "The demonstration's events stopped.",
            "The message has the reason.",
        ),
    ),
    "Materialize and RisingWave": (
        Trouble(
            "expected 'materialize': on the other engines",
            "`repair` is for Materialize alone.",
            "Nothing is to be repaired elsewhere.",
        ),
        Trouble(
            "expected 'materialize' or 'risingwave'",
            "`deploy` is for the streaming engines alone.",
            "`firstclick up` or `dbt run`.",
        ),
        Trouble(
            "expected both with FIRSTCLICK_TARGET=materialize",
            "`repair` has to know both servers.",
            "Set both.",
        ),
        Trouble(
            "expected both with FIRSTCLICK_TARGET=…",
            "`deploy` has to know both servers.",
            "Set both.",
        ),
        Trouble(
            "RisingWave does not do it",
            "It is not there, refuses the login, or the user is not its owner.",
            "Correct `DATABASE_URL`, or start it; then deploy again.",
        ),
        Trouble(
            "checkouts that are none any more",
            "Kafka did not take the tombstones of what the new models don't have.",
            "See to Kafka, and deploy again.",
        ),
        Trouble(
            "is still stopped",
            "More messages without a key have come.",
            "Find who sends them; a compacted topic refuses them.",
        ),
        Trouble(
            "the source of … can't be read",
            "The source has another error than that of a missing key.",
            "The message has Materialize's reason.",
        ),
        Trouble(
            "the source can't be healed",
            "Kafka did not take the message that heals it.",
            "See to Kafka, and repair again.",
        ),
        Trouble(
            "sources and models are on the same cluster",
            "A deployment swaps clusters, and the sources would go with it.",
            "Set both variables to other clusters, as the message says.",
        ),
        Trouble(
            "the new models differ from what Kafka's messages say",
            "An edit computes something else than the rules.",
            "Look at the schema in the message; what is read is as it was.",
        ),
        Trouble(
            "what is read is as it was",
            "dbt refused the new models.",
            "Correct them; nothing was put in place.",
        ),
        Trouble(
            "expected lower-case letters, digits and _",
            "The name of a cluster is none.",
            "Correct it.",
        ),
        Trouble(
            "Materialize does not answer",
            "It is not there, or refuses the login.",
            "Correct `DATABASE_URL`, or start it.",
        ),
    ),
}
