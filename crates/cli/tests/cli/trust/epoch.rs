//! `hoopy keys epoch`.

use std::fs;

use super::home;

#[test]
fn an_epoch_is_raised_in_git_and_the_next_image_is_signed_for_it() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new", "--no-microsoft"]);
    assert_eq!(home.ok(&["-C", "s", "keys", "epoch"]), "epoch 0\n");
    home.ok(&["build", "s"]);
    for epoch in ["1", "2"] {
        let said = home.ok(&["-C", "s", "keys", "epoch", "--raise"]);
        assert!(said.contains(&format!("images are of epoch {epoch}")), "{said}");
        assert_eq!(fs::read_to_string(dir.join("trust/epoch")).unwrap(), format!("{epoch}\n"));
        assert_eq!(home.ok(&["-C", "s", "keys", "epoch"]), format!("epoch {epoch}\n"));
        let said = home.ok(&["build", "s"]);
        let image = said.lines().find_map(|line| line.split_whitespace().find(|word| word.ends_with(".efi")));
        let said = home.ok(&["inspect", image.unwrap()]);
        assert!(said.contains(&format!("policy    signed for epoch {epoch} by key ")), "{said}");
    }
    for text in ["", "three", "0", "1\n2\n"] {
        fs::write(dir.join("trust/epoch"), text).unwrap();
        let said = home.fails(3, &["build", "s"]);
        assert!(said.contains("trust/epoch: expected a number from 1 to 9999, found"), "{said}");
        assert!(said.contains("hint: restore it with `git checkout HEAD -- trust/epoch`"), "{said}");
    }
    fs::write(dir.join("trust/epoch"), "9999").unwrap();
    assert!(home.fails(3, &["-C", "s", "keys", "epoch", "--raise"]).contains("expected one of at most 9999"));
}

/// What the hint says has to work where the file is damaged.
#[test]
fn a_damaged_epoch_is_told_of_with_a_way_out() {
    let home = home();
    let dir = home.small("s");
    fs::create_dir_all(dir.join("trust")).unwrap();
    fs::write(dir.join("trust/epoch"), "abc\n").unwrap();
    for command in [&["keys", "epoch", "--raise"][..], &["keys", "status"], &["keys", "rotate"]] {
        let said = home.fails(3, &[&["-C", "s"], command].concat());
        assert!(
            said.contains("expected a number from 1 to 9999, found \"abc\"") && !said.contains("--raise"),
            "{said}"
        );
        assert!(
            said.contains("git checkout HEAD -- trust/epoch")
                && said.contains("write the number of your newest"),
            "{said}"
        );
    }
    fs::write(dir.join("trust/epoch"), "4\n").unwrap();
    home.ok(&["-C", "s", "keys", "epoch", "--raise"]);
    assert_eq!(fs::read_to_string(dir.join("trust/epoch")).unwrap(), "5\n");
}
