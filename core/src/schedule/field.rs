//! The fields of a cron rule: what may stand in them, and names as numbers.
//!
//! `croner` takes more than Aurora's grammar (`L`, `W`, `#`, names in any field, empty parts) and names no field when it
//! refuses, so each field is checked here first.

use super::error::FieldProblem;

/// A field of a rule.
pub(super) struct Field {
    pub(super) name: &'static str,
    min: u8,
    max: u8,
    /// The names of the values from `min` on.
    names: &'static [&'static str],
}

/// The place of the day of the month among the fields.
pub(super) const DAY_OF_MONTH: usize = 2;
/// The place of the day of the week among the fields.
pub(super) const DAY_OF_WEEK: usize = 4;

pub(super) const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of month", 1, 31, &[]),
    field(
        "month",
        1,
        12,
        &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    ),
    // Both 0 and 7 are Sunday.
    field("day of week", 0, 7, &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
];

const fn field(name: &'static str, min: u8, max: u8, names: &'static [&'static str]) -> Field {
    Field { name, min, max, names }
}

/// The field in numbers, or the part of it that is wrong and why.
pub(super) fn numeric(field: &Field, given: &str) -> Result<String, (String, FieldProblem)> {
    let parts = given.split(',').map(|part| {
        let checked = field.part(part);
        checked.map_err(|problem| (part.to_owned(), problem))
    });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join(","))
}

impl Field {
    fn part(&self, part: &str) -> Result<String, FieldProblem> {
        let (values, step) = match part.split_once('/') {
            Some((values, step)) => (values, Some(self.step(step)?)),
            None => (part, None),
        };
        let range = if values == "*" {
            "*".to_owned()
        } else if let Some((from, to)) = values.split_once('-') {
            self.range(from, to)?
        } else {
            let value = self.value(values)?;
            if step.is_some() {
                return Err(FieldProblem::StepWithoutRange { max: self.max });
            }
            value.to_string()
        };
        Ok(step.map_or_else(|| range.clone(), |step| format!("{range}/{step}")))
    }

    fn range(&self, from: &str, to: &str) -> Result<String, FieldProblem> {
        let (first, mut last) = (self.value(from)?, self.value(to)?);
        // Weeks that are written from Monday on end with Sunday.
        if last < first && to.eq_ignore_ascii_case("SUN") {
            last = self.max;
        }
        if last < first {
            return Err(FieldProblem::Backwards {
                from: from.to_owned(),
                to: to.to_owned(),
                min: self.min,
                max: self.max,
            });
        }
        Ok(format!("{first}-{last}"))
    }

    fn step(&self, step: &str) -> Result<u8, FieldProblem> {
        let number = digits(step).ok_or_else(|| FieldProblem::StepUnreadable { step: step.to_owned() })?;
        match u8::try_from(number) {
            Ok(0) => Err(FieldProblem::StepZero),
            Ok(step) if step <= self.max => Ok(step),
            _ => Err(FieldProblem::StepTooLarge { step: number, max: self.max }),
        }
    }

    fn value(&self, value: &str) -> Result<u8, FieldProblem> {
        if let Some(place) = self.names.iter().position(|name| value.eq_ignore_ascii_case(name)) {
            return Ok(self.min + u8::try_from(place).unwrap_or(self.max));
        }
        let number = digits(value).ok_or_else(|| FieldProblem::Unreadable { example: self.example() })?;
        let allowed = u8::try_from(number).ok().filter(|number| (self.min..=self.max).contains(number));
        allowed.ok_or(FieldProblem::OutOfRange { value: number, min: self.min, max: self.max })
    }

    fn example(&self) -> String {
        let Self { min, max, names, .. } = self;
        let example =
            format!("*, */2, a number from {min} to {max}, a range as {min}-{max} or {min}-{max}/2");
        match names {
            [first, .., last] => format!("{example}, or names from {first} to {last}"),
            _ => example,
        }
    }
}

/// A number without a sign; one that is too large to be any value is the largest.
fn digits(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}
