use super::*;

#[test]
fn the_room_is_read_from_what_df_prints() {
    let table = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n\
                 /dev/sda1         263112704 29885104  64980884      32% /\n";

    assert_eq!(free_kilobytes(table), Some(64_980_884));
    assert_eq!(free_kilobytes("df: no such file"), None);
    assert_eq!(free_kilobytes(""), None);
}
