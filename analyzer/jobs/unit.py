"""A job as systemd units with few rights, or as a line for crontab.

What records and what reads the recordings are two services: only the first has capabilities, and only dumpcap uses
them; the second, which reads what attackers wrote, has none, and no network.
"""

import shlex
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from analyzer.errors import SettingsError
from analyzer.exports.files import make_folder, open_whole
from analyzer.jobs.settings import Job, Limit
from analyzer.quantities import each

STATE, CACHE = Path("/var/lib"), Path("/var/cache")
HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))
TEMPORARY = tuple(map(Path, ("/tmp", "/var/tmp")))  # noqa: S108  these are named, not written to
SPARE_MEMORY = 512 << 20
"""What the process that starts an analysis, and its commands, may need beside its memory."""
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
MOST_LINES = 48
"""Times of day that a timer lists at most."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

HARDENED = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={home}
PrivateTmp={tmp}
PrivateDevices=yes
PrivateMounts=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
DevicePolicy=closed
SystemCallArchitectures=native
UMask=0077"""

RECORDING = """\
# Only dumpcap uses these: it opens the interface, and gives them up.
CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN
AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN
# Packets are read and nothing is sent: no address is ever connected to.
RestrictAddressFamilies=AF_PACKET AF_NETLINK AF_UNIX AF_INET
IPAddressDeny=any
SocketBindDeny=any
SystemCallFilter=@system-service
SystemCallFilter=~@resources @keyring @clock @debug @module @mount @raw-io @reboot @swap @obsolete @cpu-emulation
SystemCallErrorNumber=EPERM"""

REPORTING = """\
# What reads what attackers wrote may do nothing but read and write files.
CapabilityBoundingSet=
AmbientCapabilities=
{network}
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @keyring @clock @debug @module @mount @raw-io @reboot @swap @obsolete @cpu-emulation
SystemCallErrorNumber=EPERM"""

NO_NETWORK = """\
PrivateNetwork=yes
PrivateUsers=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any"""

SOME_NETWORK = """\
# The network is for your commands alone; without any, this unit would have none.
PrivateUsers=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"""


def units(job: Job, *, user: str = "sipscope") -> dict[str, str]:
    """Return the units that run a job, by the names of their files: services, and a timer."""
    made = {f"sipscope-{job.name}-record.service": _recording(job, user)} if job.record else {}
    made[f"sipscope-{job.name}.service"] = _reporting(job, user)
    made[f"sipscope-{job.name}.timer"] = _timer(job)
    return made


def write_units(made: Mapping[str, str], folder: str) -> list[Path]:
    """Write units into a folder, made if need be, and return their paths; raise SettingsError if that fails."""
    paths = [make_folder(folder) / name for name in made]
    for path, text in zip(paths, made.values(), strict=True):
        with open_whole(path) as file:
            file.write(text.encode())
        path.chmod(0o644)
    return paths


def _recording(job: Job, user: str) -> str:
    interface = job.record.interface if job.record else ""
    return _service(
        f"sipscope: record {interface} for {job.name}",
        [
            f"# Once: adduser --system --group --no-create-home --home {STATE}/sipscope {user}",
            f"# Once, if dumpcap is for a group only: adduser {user} wireshark",
        ],
        [
            "Type=exec",
            f"ExecStart={_command(job, 'run', '--only', 'record')}",
            "Restart=always",
            "RestartSec=5",
            "# SIGTERM is for the one process that finishes the segment, and ends the others.",
            "KillMode=mixed",
            "TimeoutStopSec=10",
            *_who(user),
            *_writable([job.captures]),
            *HARDENED.format(**_hidden(job)).splitlines(),
            *RECORDING.splitlines(),
            "",
            "[Install]",
            "WantedBy=multi-user.target",
        ],
    )


def _reporting(job: Job, user: str) -> str:
    written = [job.tables, job.reports]
    if job.record or job.keep.captures != Limit():
        written.append(job.captures)  # what is not to be kept is removed
    network = SOME_NETWORK if job.after_report or job.on_break_in else NO_NETWORK
    return _service(
        f"sipscope: analyse and report for {job.name}",
        [] if job.record else [f"# Once: adduser --system --group --no-create-home --home {STATE}/sipscope {user}"],
        [
            "Type=oneshot",
            f"ExecStart={_command(job, 'run', '--once', '--only', 'report')}",
            "KillMode=mixed",
            "TimeoutStopSec=10",
            f"MemoryMax={job.memory + SPARE_MEMORY}",
            "Nice=5",
            "CPUSchedulingPolicy=batch",
            "IOSchedulingClass=idle",
            *_who(user),
            *_writable(written),
            *HARDENED.format(**_hidden(job)).splitlines(),
            *REPORTING.format(network=network).splitlines(),
        ],
    )


def _service(description: str, remarks: Iterable[str], lines: Iterable[str]) -> str:
    head = [*remarks, "[Unit]", f"Description={description}", "Documentation=man:systemd.exec(5)", "", "[Service]"]
    return "\n".join([*head, *lines, ""])


def _who(user: str) -> list[str]:
    return [
        f"User={user}",
        f"Group={user}",
        "CacheDirectory=sipscope",
        f"Environment=XDG_CACHE_HOME={CACHE} MPLCONFIGDIR={CACHE}/sipscope",
    ]


def _writable(folders: Iterable[Path]) -> list[str]:
    """Return the lines that make folders writable; those below /var/lib are made by systemd, too."""
    state, others = [], []
    for folder in folders:
        if folder.is_relative_to(STATE) and folder != STATE:
            state.append(str(folder.relative_to(STATE)))
        else:
            others.append(str(folder))
    lines = [f"StateDirectory={' '.join(map(_word, state))}", "StateDirectoryMode=0750"] if state else []
    return lines + [f"ReadWritePaths={_word(path)}" for path in others]


def _hidden(job: Job) -> dict[str, str]:
    """Return what of the file system can be hidden: what no path of the job lies in."""
    given = (job.allow, job.signatures, job.geoip)
    paths = [job.file, job.captures, job.tables, job.reports, Path(sys.prefix), Path(sys.executable)]
    paths += [path for some in given for path in some]
    paths += [Path(command.command[0]) for command in (*job.after_report, *job.on_break_in)]
    return {
        "home": "read-only" if _is_in(paths, HOMES) else "yes",
        "tmp": "no" if _is_in(paths, TEMPORARY) else "yes",
    }


def _is_in(paths: Iterable[Path], places: Iterable[Path]) -> bool:
    places = list(places)
    return any(path.is_relative_to(place) for path in paths for place in places)


def _command(job: Job, *words: str) -> str:
    return " ".join(map(_word, [*_program(), "job", *words, str(job.file)]))


def _program() -> list[str]:
    """Return the command that is this program, by its whole path."""
    script = Path(sys.executable).with_name("sipscope")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "analyzer"]


def _word(text: str) -> str:
    """Return a word as systemd reads it back: no specifier, no variable, in quotes if need be."""
    text = text.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\")
    return f'"{text.replace(chr(34), chr(92) + chr(34))}"' if set(text) & set(" \t'\";\\") else text


# --- times


def _timer(job: Job) -> str:
    return "\n".join([
        "[Unit]",
        f"Description=sipscope: reports of {job.name}, every {each(job.every)}",
        "",
        "[Timer]",
        *_calendar(job),
        "AccuracySec=1s",
        "",
        "[Install]",
        "WantedBy=timers.target",
        "",
    ])  # fmt: skip


def _calendar(job: Job) -> list[str]:
    """Return the lines of a timer for the times of a schedule; a period that no calendar has is counted from boot."""
    every, offset = job.every, job.offset
    if every == 7 * DAY:
        days, clock = divmod(offset, DAY)
        return [f"OnCalendar={WEEKDAYS[days]} *-*-* {_clock(clock)} UTC", "Persistent=true"]
    whole = every <= DAY and DAY % every == timedelta(0) and not every % timedelta(seconds=1)
    if whole and len(lines := _daily(every, offset)) <= MOST_LINES:
        return [*(f"OnCalendar={line}" for line in lines), "Persistent=true"]
    seconds = every.total_seconds()
    return ["OnBootSec=1min", f"OnUnitActiveSec={seconds:g}s"]


def _daily(every: timedelta, offset: timedelta) -> list[str]:
    """Return the times of day of a period that divides the day, as few expressions as need be."""
    hours, rest = divmod(offset.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if every == HOUR:
        return [f"*-*-* *:{minutes:02}:{seconds:02} UTC"]
    if every == MINUTE:
        return [f"*-*-* *:*:{seconds:02} UTC"]
    if MINUTE % every == timedelta(0):
        return [f"*-*-* *:*:{seconds:02}/{every.seconds} UTC"]
    if HOUR % every == timedelta(0) and every % MINUTE == timedelta(0):
        return [f"*-*-* *:{minutes:02}/{every.seconds // 60}:{seconds:02} UTC"]
    if every % HOUR == timedelta(0) and every < DAY:
        return [f"*-*-* {hours:02}/{every.seconds // 3600}:{minutes:02}:{seconds:02} UTC"]
    return [f"*-*-* {_clock(offset + number * every)} UTC" for number in range(DAY // every)]


def _clock(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def crontab(job: Job) -> str:
    """Return the line for crontab that runs a job; raise SettingsError if cron cannot say its period."""
    command = " ".join(map(shlex.quote, [*_program(), "job", "run", "--once", "--quiet", str(job.file)]))
    return f"{_cron_times(job)} {command.replace('%', chr(92) + '%')}"


def _cron_times(job: Job) -> str:
    every, offset = job.every, job.offset
    minute, hour, day = offset.seconds // 60 % 60, offset.seconds // 3600, offset.days
    if offset % MINUTE == timedelta(0):
        if every == MINUTE:
            return "* * * * *"
        if HOUR % every == timedelta(0) and every % MINUTE == timedelta(0) and every < HOUR:
            return f"{minute}-59/{every.seconds // 60} * * * *"
        if every == HOUR:
            return f"{minute} * * * *"
        if DAY % every == timedelta(0) and every % HOUR == timedelta(0) and every < DAY:
            return f"{minute} {hour}-23/{every.seconds // 3600} * * *"
        if every == DAY:
            return f"{minute} {hour} * * *"
        if every == 7 * DAY:
            return f"{minute} {hour} * * {(day + 1) % 7}"
    raise SettingsError(
        f"cron cannot say 'every {each(every)}'; use a period that divides the hour, the day or the week",
        file=job.file,
        key="report.every",
    )
