//! Alpine packages: versions, indexes, packages, signatures, resolution.
