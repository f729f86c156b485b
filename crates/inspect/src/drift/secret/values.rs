//! What all that looks at values has in common.

/// What is read of a value.
pub const MAX_VALUE: usize = 256;

/// Whether a shell or a template puts the value there.
pub fn is_reference(text: &str) -> bool {
    ["${", "$(", "{{", "`"].iter().any(|start| text.starts_with(start))
}
