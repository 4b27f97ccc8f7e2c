//! Files that are written whole, or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process;

/// Writes a file that is not there yet, also if it comes meanwhile.
///
/// # Errors
/// Where it is there, or something of it cannot be written.
pub fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    whole(file, bytes, |_| Ok(()), |part| named(part, file))
}

/// Writes a file in the place of the one that may be there, with its permissions. What is no file, such as /dev/null,
/// is written to.
///
/// # Errors
/// Where something of it cannot be written: then the one that was there stays.
pub fn write_over(file: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(there) if !there.is_file() => fs::write(file, bytes),
        there => {
            let same = |made: &File| match there {
                Ok(there) => made.set_permissions(there.permissions()),
                Err(_) => Ok(()),
            };
            whole(file, bytes, same, |part| fs::rename(part, file))
        }
    }
}

fn whole(
    file: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
    name: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut part = file.file_name().unwrap_or_default().to_owned();
    part.push(format!(".{}.part", process::id()));
    let part = file.with_file_name(part);
    let made = File::create_new(&part)?;
    let done = prepare(&made).and_then(|()| written(made, bytes)).and_then(|()| name(&part));
    // It has its name by now, or is half a file.
    drop(fs::remove_file(&part));
    done
}

fn written(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    // A disk that is full may say so only now.
    file.sync_all()
}

/// Gives a file its name, and never one that is taken.
fn named(part: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(part, file) {
        // Not every file system has links.
        Err(error) if error.kind() != ErrorKind::AlreadyExists && !fs::exists(file)? => {
            fs::rename(part, file)
        }
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_whole_and_nothing_is_left_beside_it() {
        let folder = env::temp_dir().join(format!("queue-scaler-file-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("plan.json");
        write_new(&file, b"one").unwrap();
        assert_eq!(write_new(&file, b"two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        write_over(&file, b"three").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"three");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        write_over(&file, b"again").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        write_over(Path::new("/dev/null"), b"four").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let nowhere = folder.join("no-such").join("plan.json");
        assert_eq!(write_over(&nowhere, b"five").unwrap_err().kind(), ErrorKind::NotFound);
        fs::remove_dir_all(&folder).unwrap();
    }
}
