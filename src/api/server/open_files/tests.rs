use super::*;

fn limits(open_files: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max processes             7700                 7700                 processes \n\
         {open_files}\n\
         Max locked memory         8388608              8388608              bytes     \n"
    )
}

#[test]
fn the_soft_limit_counts_and_something_is_left_for_others() {
    let check = |line: &str, expected| assert_eq!(room_within(&limits(line)), expected, "{line}");

    check(
        "Max open files            1024                 524288               files     ",
        Some(768),
    );
    check(
        "Max open files            1048576              1048576              files     ",
        Some(1_048_320),
    );
    check(
        "Max open files            64                   64                   files     ",
        Some(FEWEST),
    );
    check(
        "Max open files            unlimited            unlimited            files     ",
        None,
    );
    check("Max file locks            unlimited", None);
}

#[cfg(target_os = "linux")]
#[test]
fn this_system_says_its_limit() {
    assert!(room().is_some());
}
