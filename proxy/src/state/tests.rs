//! Which faults of the state directory are the config's.

use super::*;

fn cannot_write(kind: io::ErrorKind) -> StateError {
    StateError::CannotWrite {
        path: PathBuf::from("/state"),
        error: kind.into(),
    }
}

#[test]
fn a_directory_that_the_service_may_not_write_is_told_with_the_line_that_lets_it() {
    let told = cannot_write(io::ErrorKind::ReadOnlyFilesystem).to_string();
    assert!(told.contains("ReadWritePaths=/state "), "{told}");
    assert!(!told.contains("make it yourself"), "{told}");
}

#[test]
fn a_full_or_read_only_disk_is_not_the_configs_fault() {
    use io::ErrorKind::{NotADirectory, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    assert!(!cannot_write(StorageFull).is_of_config());
    assert!(!cannot_write(ReadOnlyFilesystem).is_of_config());
    assert!(cannot_write(PermissionDenied).is_of_config());
    assert!(cannot_write(NotADirectory).is_of_config());
}
