use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + 60 * minute, 0).unwrap()
}

/// Minutes that are left of the pause, after what was reported in these minutes.
fn left(reported: &[i64], success: Option<i64>, now: i64) -> Option<u64> {
    let spell = Spell::since(success.map(at), reported.iter().map(|minute| at(*minute)))?;
    spell.wait(&RUNG, at(now)).map(|left| left.as_secs() / 60)
}

#[test]
fn a_pause_is_as_long_as_the_shortage_has_lasted_within_bounds() {
    let cases = [
        (vec![], None, 0, None),
        (vec![10], None, 10, Some(5)),
        (vec![10], None, 14, Some(1)),
        (vec![10], None, 15, None),
        (vec![0, 12], None, 12, Some(12)),
        (vec![12, 0], None, 20, Some(4)),
        (vec![0, 50], None, 60, Some(20)),
        // What began since is good news.
        (vec![10], Some(11), 12, None),
        (vec![0, 12], Some(6), 13, Some(4)),
    ];
    for (reported, success, now, expected) in cases {
        assert_eq!(left(&reported, success, now), expected, "{reported:?}, {success:?}, {now}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_pause_longer() {
    assert_eq!(left(&[100], None, 40), Some(5));
}
