//! Up to where the metadata log is known to be on the disk, across a crash.
//!
//! A voter has promised what it has synced: a bad batch there is rot, never a torn write, and must
//! not be cut. Nothing in the log itself tells how far that goes, so it stands in a small file,
//! written over in its place after each sync of the log and synced itself now and then: what a
//! power failure leaves of it is at most too low (decision 007).

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::disk::{Access, Disk, DiskError, DiskFile, read_file, write_file_atomically};
use wire::ids::Offset;

/// The file, beside `quorum-state`.
const FILE: &str = "tidelog-durable-point";
/// A file above this is not ours.
const BYTES_MAX: u64 = 4096;
/// How long after a sync of the log the file may lag behind on the disk.
const LAG_MS: i64 = 1_000;

/// The file and what it says.
#[derive(Debug)]
pub(super) struct DurablePoint {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// `None` while a full disk had no room for it.
    file: Option<Arc<dyn DiskFile>>,
    /// What the file says.
    written: Offset,
    /// What it says after a power failure, at least.
    synced: Offset,
    synced_ms: i64,
}

impl DurablePoint {
    /// Reads the file in the log's directory; 0 where there is none, or none that is sound.
    pub(super) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Self, DiskError> {
        let path = dir.join(FILE);
        let (mut written, mut file) = (Offset(0), None);
        if disk.exists(&path)? {
            written = parse(&read_file(&**disk, &path, BYTES_MAX)?).unwrap_or_default();
            file = Some(disk.open(&path, Access::ReadWrite)?);
        }
        let disk = Arc::clone(disk);
        Ok(Self { disk, path, file, written, synced: written, synced_ms: 0 })
    }

    /// Everything below had been synced.
    pub(super) fn offset(&self) -> Offset {
        self.written
    }

    /// The log has been synced up to here.
    pub(super) fn reached(&mut self, upto: Offset) -> Result<(), DiskError> {
        match upto > self.written {
            true => self.write(upto),
            false => Ok(()),
        }
    }

    /// The log is about to be cut here: what is appended behind it is not on the disk.
    pub(super) fn lower(&mut self, upto: Offset) -> Result<(), DiskError> {
        if upto >= self.written {
            return Ok(());
        }
        self.write(upto)?;
        // What it said may be on the disk though nobody has asked for that.
        self.synced = Offset(i64::MAX);
        self.sync()
    }

    /// Brings the file to the disk when it is time.
    pub(super) fn tick(&mut self, now_ms: i64) -> Result<(), DiskError> {
        // A clock that was set back makes nothing wait longer.
        let due = now_ms < self.synced_ms || now_ms.saturating_sub(self.synced_ms) >= LAG_MS;
        if !due || self.synced == self.written {
            return Ok(());
        }
        self.synced_ms = now_ms;
        self.sync()
    }

    /// Brings the file to the disk.
    pub(super) fn sync(&mut self) -> Result<(), DiskError> {
        if let Some(file) = self.file.as_ref().filter(|_| self.synced != self.written) {
            file.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn write(&mut self, upto: Offset) -> Result<(), DiskError> {
        let text = render(upto);
        let written = match &self.file {
            Some(file) => file.write_all_at(&[IoSlice::new(&text)], 0),
            None => self.create(&text),
        };
        match written {
            Ok(()) => self.written = upto,
            // A point that is too low only knows less. One that is too high must not stay.
            Err(error) if error.heals() && upto > self.written => {}
            failed => return failed,
        }
        Ok(())
    }

    fn create(&mut self, text: &[u8]) -> Result<(), DiskError> {
        write_file_atomically(&*self.disk, &self.path, text)?;
        self.file = Some(self.disk.open(&self.path, Access::ReadWrite)?);
        Ok(())
    }
}

/// Always of the same length, well within what a disk writes whole. The offset stands there twice:
/// a file that has rotted is none.
fn render(upto: Offset) -> Vec<u8> {
    format!("0\n{0:020}\n{0:020}\n", upto.0).into_bytes()
}

fn parse(bytes: &[u8]) -> Option<Offset> {
    let text = std::str::from_utf8(bytes).ok()?;
    let offset = text.split('\n').nth(1)?.parse().ok().map(Offset)?;
    (render(offset) == bytes && offset >= Offset(0)).then_some(offset)
}

#[cfg(test)]
mod tests {
    use storage::disk::sim::SimDisk;

    use super::*;

    fn fresh(seed: u64) -> (SimDisk, Arc<dyn Disk>, DurablePoint) {
        let sim = SimDisk::new(seed);
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let point = DurablePoint::open(&disk, Path::new("/d")).unwrap();
        (sim, disk, point)
    }

    fn reopened(sim: &SimDisk) -> Offset {
        sim.crash();
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        DurablePoint::open(&disk, Path::new("/d")).unwrap().offset()
    }

    #[test]
    fn after_a_power_failure_it_is_what_was_synced_or_later_never_more() {
        for seed in 0..50 {
            let (sim, disk, mut point) = fresh(seed);
            assert_eq!(point.offset(), Offset(0));
            point.reached(Offset(7)).unwrap();
            point.tick(1_000).unwrap();
            point.reached(Offset(9)).unwrap();
            point.tick(1_500).unwrap();
            assert!([7, 9].contains(&reopened(&sim).0));
            let mut point = DurablePoint::open(&disk, Path::new("/d")).unwrap();
            point.lower(Offset(3)).unwrap();
            assert_eq!(reopened(&sim), Offset(3), "a cut is known before it is made");
        }
    }

    #[test]
    fn a_cut_is_known_also_where_the_kernel_had_written_more_than_was_asked() {
        for seed in 0..50 {
            let (sim, _, mut point) = fresh(seed);
            point.reached(Offset(7)).unwrap();
            point.sync().unwrap();
            point.reached(Offset(9)).unwrap();
            sim.write_back_some();
            point.lower(Offset(7 + seed as i64 % 2)).unwrap();
            assert_eq!(reopened(&sim), Offset(7 + seed as i64 % 2), "seed {seed}");
        }
    }

    #[test]
    fn a_file_that_is_not_sound_says_nothing() {
        assert_eq!(parse(&render(Offset(12))), Some(Offset(12)));
        let mut bent = render(Offset(12));
        bent[20] ^= 1;
        assert_eq!(parse(&bent), None);
        assert_eq!((parse(b""), parse(b"0\n1\n1\n")), (None, None));
    }
}
