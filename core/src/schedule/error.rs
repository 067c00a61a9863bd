//! What is wrong with a schedule, said to who wrote it.

/// Why a schedule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There is no rule.
    #[error("no schedule is given: give at least one, such as \"0 3 * * *\"")]
    NoSchedule,
    /// Not five fields.
    #[error(
        "schedule {text:?} has {found} fields instead of five: minute, hour, day of month, month and day of week, such as \
         \"30 3 * * MON\"; there is none for seconds or years, and the time zone has a field of its own"
    )]
    FieldCount {
        /// The rule as given.
        text: String,
        /// How many fields it has.
        found: usize,
    },
    /// A field says nothing that can be understood.
    #[error("schedule {text:?}: {part:?} in the field {field} {problem}")]
    Field {
        /// The rule as given.
        text: String,
        /// The name of the field.
        field: &'static str,
        /// The part between commas that is wrong.
        part: String,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// An unknown word after `@`.
    #[error(
        "schedule {text:?} is not known: use @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually or five fields"
    )]
    Nickname {
        /// The rule as given.
        text: String,
    },
    /// The fields are fine one by one, but not together.
    #[error("schedule {text:?} cannot be read: {problem}")]
    Unreadable {
        /// The rule as given.
        text: String,
        /// What the parser says.
        problem: String,
    },
    /// No date matches.
    #[error(
        "schedule {text:?} never fires: none of its months has any of its days; change the day of month or the month"
    )]
    NeverFires {
        /// The rule as given.
        text: String,
    },
    /// Not of the form of a repeating interval.
    #[error(
        "schedule {text:?} is no repeating interval: write R, how often (or nothing, for ever), the first time and the interval, \
         such as R10/2026-01-01T00:00:00Z/PT2H"
    )]
    Interval {
        /// The rule as given.
        text: String,
    },
    /// The number of runs cannot be used.
    #[error(
        "schedule {text:?}: {count:?} is no number of runs: write R and a number from 1 to 4294967295, or R alone for runs without end"
    )]
    Count {
        /// The rule as given.
        text: String,
        /// What stands after R.
        count: String,
    },
    /// The first time cannot be read.
    #[error(
        "schedule {text:?}: the first time {start:?} {problem}; write it as 2026-01-01T00:00:00Z, with +02:00 for Z, or without either \
         for a local time of the schedule's time zone, in whole seconds and before the year 5000"
    )]
    Start {
        /// The rule as given.
        text: String,
        /// The second part.
        start: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The interval cannot be read.
    #[error(
        "schedule {text:?}: the interval {interval:?} {problem}; write it as PT15M, PT2H, P1D, P1W or P1M, in whole seconds"
    )]
    Duration {
        /// The rule as given.
        text: String,
        /// The third part.
        interval: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The interval is zero, negative or under a minute.
    #[error(
        "schedule {text:?}: the interval {interval:?} is too short: at least one minute, PT1M, must lie between runs"
    )]
    TooShort {
        /// The rule as given.
        text: String,
        /// The third part.
        interval: String,
    },
    /// No such time zone.
    #[error(
        "time zone {zone:?} is not known: write its IANA name, such as Europe/Berlin or UTC{}",
        offered(nearest)
    )]
    UnknownZone {
        /// The name as given.
        zone: String,
        /// Known names that look like it.
        nearest: Vec<String>,
    },
}

/// Why a part of a field is refused; reads on from the part and the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// Neither number nor name.
    #[error("is not understood: write {example}")]
    Unreadable {
        /// What may stand there.
        example: String,
    },
    /// A number the field does not have.
    #[error("has {value}, which is not within {min} to {max}")]
    OutOfRange {
        /// The number.
        value: u32,
        /// The lowest that is allowed.
        min: u8,
        /// The highest that is allowed.
        max: u8,
    },
    /// A range that ends before it begins.
    #[error("goes backwards: write {from}-{max},{min}-{to}")]
    Backwards {
        /// Its begin, as given.
        from: String,
        /// Its end, as given.
        to: String,
        /// The lowest value of the field.
        min: u8,
        /// The highest value of the field.
        max: u8,
    },
    /// What stands after the slash is no number.
    #[error("has {step:?} for its step: write a number after the slash")]
    StepUnreadable {
        /// What stands there.
        step: String,
    },
    /// A step of zero.
    #[error("has a step of 0: write 1 or more after the slash")]
    StepZero,
    /// A step that leaves only the first value.
    #[error(
        "has a step of {step}, but the field ends at {max}: for longer steps use an interval such as R/2026-01-01T00:00:00Z/PT90M"
    )]
    StepTooLarge {
        /// The step.
        step: u32,
        /// The highest value of the field.
        max: u8,
    },
    /// A step after a single value.
    #[error("has a step but no range: write where it ends before the slash, such as 5-{max}/15, or *")]
    StepWithoutRange {
        /// The highest value of the field.
        max: u8,
    },
}

fn offered(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    format!(" (did you mean {}?)", nearest.join(" or "))
}
