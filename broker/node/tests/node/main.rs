//! A node on simulated and real disks, driven as the server drives it.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod common;
#[cfg(test)]
mod corruption;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod dirs;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod kafka_dump;
#[cfg(test)]
mod life;
#[cfg(test)]
mod load;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod waiting;
