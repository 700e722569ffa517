//! Moments and spans of time as arguments and answers, by ISO 8601.

use std::time::{SystemTime, UNIX_EPOCH};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Now, in ms since 1970.
pub(super) fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the command line is the edge")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A moment in ms since 1970: a number of them, or `2026-11-22T16:00:00.000+01:00`. The fraction
/// may be left out, and so may the zone, which then is UTC.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    read_moment(text).ok_or_else(|| {
        format!("{text} is not a time: write 2026-11-22T16:00:00.000, or ms since 1970")
    })
}

fn read_moment(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let (time, zone_ms) = match time.find(['Z', 'z', '+', '-']) {
        None => (time, 0),
        Some(at) => (time.get(..at)?, zone(time.get(at..)?)?),
    };
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let good = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..10_000).contains(&year)
        && (1..=9).contains(&fraction.len());
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !good || !digits {
        return None;
    }
    let milliseconds: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let clock_ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + milliseconds;
    Some(days_since_1970(year, month, day) * DAY_MS + clock_ms - zone_ms)
}

/// Exactly three numbers.
fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    let parts: Option<Vec<i64>> = text.split(separator).map(number).collect();
    parts?.try_into().ok()
}

fn zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.get(1..)?.chars().filter(|letter| *letter != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 =
        digits.get(2..).filter(|rest| !rest.is_empty()).unwrap_or("0").parse().ok()?;
    (hours <= 18 && minutes < 60).then_some(sign * (hours * HOUR_MS + minutes * MINUTE_MS))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the odd day comes last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before = (153 * month + 2) / 5;
    // 719468 days lie between March 1 of the year 0 and 1970.
    year * 365 + leap_days + before + day - 1 - 719_468
}

/// A span in ms: `P1DT2H3M4.5S` as Kafka's tools take it, or `90s`, `30m`, `12h`, `7d`.
pub(super) fn span(text: &str) -> Result<i64, String> {
    let read = match text.strip_prefix(['P', 'p']) {
        Some(rest) => iso_span(rest),
        None => plain_span(text),
    };
    read.ok_or_else(|| format!("{text} is not a span of time: write PT1H30M, 90s, 30m, 12h or 7d"))
}

fn plain_span(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "ms" => 1,
        "s" => SECOND_MS,
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        _ => return None,
    };
    digits.parse::<u32>().ok().and_then(|number| i64::from(number).checked_mul(unit))
}

fn iso_span(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (days, clock) = text.split_once('T').unwrap_or((&text, ""));
    if days.is_empty() && clock.is_empty() || text.ends_with('T') {
        return None;
    }
    let whole = parts(days, &[('W', 7 * DAY_MS), ('D', DAY_MS)])?;
    whole.checked_add(parts(clock, &[('H', HOUR_MS), ('M', MINUTE_MS), ('S', SECOND_MS)])?)
}

/// Numbers with these letters after them, in this order, each at most once.
fn parts(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0i64;
    for (letter, unit) in units {
        let Some((number, rest)) = text.split_once(*letter) else { continue };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if !fraction.is_empty() && *letter != 'S' {
            return None;
        }
        let whole = i64::from(whole.parse::<u32>().ok()?).checked_mul(*unit)?;
        let fraction: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        total = total.checked_add(whole)?.checked_add(fraction)?;
        text = rest;
    }
    text.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        // Of `date --date=... +%s`.
        for (text, ms) in [
            ("1970-01-01T00:00:00", 0),
            ("2026-11-22T16:34:00.123", 1_795_365_240_123),
            ("2026-11-22T16:34:00Z", 1_795_365_240_000),
            ("2026-11-22T17:34:00+01:00", 1_795_365_240_000),
            ("2026-11-22T11:04:00.5-0530", 1_795_365_240_500),
            ("2024-02-29 23:59:59", 1_709_251_199_000),
            ("1969-12-31T23:59:59", -1_000),
            ("1900-03-01T00:00:00", -2_203_891_200_000),
            ("1795365240123", 1_795_365_240_123),
        ] {
            assert_eq!(moment(text), Ok(ms), "{text}");
        }
        for wrong in [
            "",
            "T",
            "2026-11-22",
            "2026-13-01T00:00:00",
            "2026-02-29T00:00:00",
            "2026-11-22T24:00:00",
            "2026-11-22T16:34",
            "2026-11-22T16:34:00+1",
            "2026-11-22T16:34:00.",
            "2026-11-22T16:34:00.x",
            "2026-11-22T-1:00:00",
            "now",
            "99999999-11-22T16:34:00",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans() {
        for (text, ms) in [
            ("PT1H30M", 90 * MINUTE_MS),
            ("P1D", DAY_MS),
            ("P2DT3H4M5.5S", 2 * DAY_MS + 3 * HOUR_MS + 4 * MINUTE_MS + 5_500),
            ("P1W", 7 * DAY_MS),
            ("pt0s", 0),
            ("90s", 90_000),
            ("500ms", 500),
            ("7d", 7 * DAY_MS),
        ] {
            assert_eq!(span(text), Ok(ms), "{text}");
        }
        for wrong in ["", "P", "PT", "P1H", "PT1D", "PT1M1H", "P1.5D", "1", "1y", "-1d", "P-1D"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
