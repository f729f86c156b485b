//! The cases, each in a scene of its own.

mod changes;
mod layers;
mod life;
mod world;

use hoopy_store::layer::Entry;

use crate::scene::{Layer, Scene};

pub use life::{be_killed, refuse_a_user_with_few_ids};

type Case = (&'static str, fn(&Scene));

macro_rules! cases {
    ($($module:ident :: $name:ident)*) => { &[$((stringify!($name), $module::$name)),*] };
}

pub const ALL: &[Case] = cases! {
    changes::captures_owners_modes_and_contents
    changes::captures_nothing_of_a_script_that_changes_nothing
    changes::captures_deletions_and_shows_them_to_the_next_script
    changes::captures_a_directory_put_in_the_place_of_another
    changes::captures_hard_links_as_links
    changes::keeps_file_capabilities_through_a_copy_up
    changes::captures_device_nodes
    changes::names_the_script_whose_changes_no_layer_can_have
    changes::bounds_what_the_names_of_changes_take
    world::gives_no_network_but_a_loopback_device
    world::gives_the_hosts_network_where_it_is_asked_for
    world::shows_nothing_of_the_host
    world::reaches_no_file_of_the_helpers
    world::binds_a_directory_read_only_and_runs_the_script_from_it
    world::takes_powers_over_the_host_from_root
    world::keeps_the_resolver_of_an_image_that_a_script_leaves_alone
    world::captures_what_a_script_makes_of_the_resolver
    world::names_the_hosts_that_the_image_does
    world::lends_a_directory_with_its_owners
    life::does_not_wait_for_daemons_left_behind
    life::shows_the_output_and_line_of_a_failing_script
    life::tells_a_missing_interpreter_from_a_failure
    life::goes_on_after_a_failed_script
    life::names_the_signal_that_killed_a_script
    life::leaves_nothing_behind_when_killed
    life::removes_what_another_boot_unpacked
    life::clears_unpacked_layers_that_nobody_uses
    life::runs_sessions_side_by_side
    changes::keeps_all_of_what_has_no_room_in_memory
    layers::stacks_400_layers
    layers::shows_of_1300_layers_what_each_of_them_leaves
    layers::refuses_more_deletions_than_overlayfs_stacks
    layers::unpacks_owners_modes_and_times
    layers::unpacks_contents_out_of_a_file
    layers::does_not_follow_links_in_a_layer
    layers::refuses_a_layer_cut_short
    layers::takes_no_orders_from_a_layer
    layers::takes_a_layer_for_what_its_digest_says
    layers::keeps_lower_layers_as_they_are
};

fn find<'a>(layer: &'a Layer, path: &str) -> &'a Entry {
    let found = layer.entries.iter().find(|entry| entry.path.as_bytes() == path.as_bytes());
    found.unwrap_or_else(|| panic!("no {path} in {:?}", paths(layer)))
}

fn paths(layer: &Layer) -> Vec<String> {
    layer.entries.iter().map(|entry| entry.path.to_string()).collect()
}
