use super::FaultKind::{Finish, Hang, Limited, Reset, Safety, Slow};
use super::*;

#[test]
fn markers_are_read_as_they_are_meant() {
    let check = |prompt: &str, subject: &str, faults: &[Fault]| {
        let marked = read_markers(prompt).unwrap();
        assert_eq!(
            (marked.subject.as_str(), marked.faults.as_slice()),
            (subject, faults),
            "{prompt}"
        );
    };
    let fault = |kind, calls: &[RangeInclusive<u32>], wait: Option<u64>| Fault {
        kind,
        calls: calls.to_vec(),
        wait: wait.map(Duration::from_millis),
        reason: None,
        message: None,
    };
    check("a red bicycle", "a red bicycle", &[]);
    check(
        "a bicycle [sim:429@2 wait=1.5s]",
        "a bicycle",
        &[fault(Limited, &[2..=2], Some(1500))],
    );
    check("[sim:hang]", "", &[fault(Hang, &[], None)]);
    check("a [SIM: Hang ] b", "a b", &[fault(Hang, &[], None)]);
    check(
        "a [sim:reset @ 1, 3]. b",
        "a . b",
        &[fault(Reset, &[1..=1, 3..=3], None)],
    );
    check("a [sim:safety@2-4]", "a", &[fault(Safety, &[2..=4], None)]);
    check(
        "a [sim:safety@3-]",
        "a",
        &[fault(Safety, &[3..=u32::MAX], None)],
    );
    check("a [sim:slow=250ms]", "a", &[fault(Slow, &[], Some(250))]);
    check(
        "a [sim:slow wait=2m]",
        "a",
        &[fault(Slow, &[], Some(120_000))],
    );
    check(
        "é [sim:429@1] [sim:safety@2] b",
        "é b",
        &[
            fault(Limited, &[1..=1], None),
            fault(Safety, &[2..=2], None),
        ],
    );
    let quoted = Fault {
        message: Some("no, thank you".to_owned()),
        ..fault(Safety, &[], None)
    };
    let unknown = Fault {
        reason: Some("BRAND_NEW".to_owned()),
        ..fault(Finish, &[1..=1], None)
    };
    check("a [sim:finish@1 reason=BRAND_NEW]", "a", &[unknown]);
    check("a [sim:safety message=\"no, thank you\"]", "a", &[quoted]);
}

#[test]
fn a_typing_error_is_told_and_the_known_words_with_it() {
    let check = |prompt: &str, said: &str| {
        let error = read_markers(prompt).unwrap_err().to_string();
        assert!(error.contains(said), "{prompt}: {error}");
    };

    check(
        "a [sim:safty]",
        "unknown fault \"safty\"; the simulator knows 429, ",
    );
    check("a [sim:]", "unknown fault \"\"");
    check("a [sim:hang", "no closing bracket");
    check("a [sim:429@two]", "@two");
    check("a [sim:429@0]", "@0");
    check("a [sim:429@4-2]", "@4-2");
    check("a [sim:429 wait=soon]", "soon");
    check("a [sim:429 wait=-1s]", "-1s");
    check("a [sim:429 weight=1s]", "unknown option \"weight=1s\"");
    check("a [sim:429 reason=STOP]", "unknown option \"reason=STOP\"");
}

#[test]
fn every_kind_has_exactly_one_name_that_reads_back() {
    for (name, kind) in FaultKind::ALL {
        assert_eq!(name.parse(), Ok(kind));
        assert_eq!(kind.to_string(), name);
    }
}

#[test]
fn a_fault_strikes_the_calls_it_lists() {
    let strikes = |text: &str| {
        let fault: Fault = text.parse().unwrap();
        (1..=5)
            .filter(|nth| fault.strikes(*nth))
            .collect::<Vec<_>>()
    };

    assert_eq!(strikes("hang"), [1, 2, 3, 4, 5]);
    assert_eq!(strikes("hang@2"), [2]);
    assert_eq!(strikes("hang@1,4-"), [1, 4, 5]);
}
