//! Counts gRPC messages in a body, whatever pieces it comes in: each is one byte of flags, four of length, and so many
//! bytes (gRPC over HTTP/2, "Length-Prefixed-Message"). It keeps nothing of the messages.

const PREFIX: usize = 5;

/// How far a body has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounter {
    messages: u64,
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that have arrived.
    filled: usize,
    /// Bytes of the message that are still to come.
    left: u64,
}

impl MessageCounter {
    /// Messages of which at least the prefix has arrived.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Takes the next piece of the body.
    pub fn feed(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).map_or(data.len(), |left| left.min(data.len()));
                self.left -= skipped as u64;
                data = data.get(skipped..).unwrap_or_default();
                continue;
            }
            let wanted = (PREFIX - self.filled).min(data.len());
            let (now, rest) = data.split_at(wanted);
            for (slot, byte) in self.prefix.iter_mut().skip(self.filled).zip(now) {
                *slot = *byte;
            }
            self.filled += wanted;
            data = rest;
            if self.filled == PREFIX {
                let [_flags, a, b, c, d] = self.prefix;
                self.left = u64::from(u32::from_be_bytes([a, b, c, d]));
                self.filled = 0;
                self.messages += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(length.to_be_bytes());
        bytes.extend(std::iter::repeat_n(7, length as usize));
        bytes
    }

    #[test]
    fn messages_are_counted_however_the_body_is_cut() {
        let body: Vec<u8> = [0, 1, 300, 0, 5, 70_000].into_iter().flat_map(message).collect();
        for cut in [1, 2, 3, 4, 5, 6, 7, 64, 4096, body.len()] {
            let mut counter = MessageCounter::default();
            body.chunks(cut).for_each(|piece| counter.feed(piece));
            assert_eq!(counter.messages(), 6, "in pieces of {cut}");
        }
    }

    #[test]
    fn a_message_counts_once_its_prefix_is_there() {
        let mut counter = MessageCounter::default();
        counter.feed(&[0, 0, 0, 0]);
        assert_eq!(counter.messages(), 0);
        counter.feed(&[9]);
        assert_eq!(counter.messages(), 1);
        counter.feed(&[1; 9]);
        assert_eq!(counter.messages(), 1);
        counter.feed(&[0, 255, 255, 255, 255, 3]);
        assert_eq!(counter.messages(), 2, "a length that never comes");
    }
}
