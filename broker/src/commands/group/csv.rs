//! Offsets as lines of CSV, as Kafka's own tool writes and reads them: `topic,partition,offset`, or
//! `group,topic,partition,offset` when there are several groups.

/// A line: group if it is said, topic, partition, offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) group: Option<String>,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// Reads a file's text; an error names the line.
pub(super) fn read(text: &str) -> Result<Vec<Row>, (usize, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| row(line).map_err(|what| (index + 1, what))).collect()
}

fn row(line: &str) -> Result<Row, String> {
    let fields = fields(line)?;
    let (group, topic, partition, offset) = match fields.as_slice() {
        [topic, partition, offset] => (None, topic, partition, offset),
        [group, topic, partition, offset] => (Some(group.clone()), topic, partition, offset),
        _ => return Err("expected topic,partition,offset or group,topic,partition,offset".into()),
    };
    let partition = partition.trim().parse().ok().filter(|index: &i32| *index >= 0);
    let offset = offset.trim().parse().ok().filter(|offset: &i64| *offset >= 0);
    Ok(Row {
        group,
        topic: topic.clone(),
        partition: partition.ok_or("the partition is not a number")?,
        offset: offset.ok_or("the offset is not a number")?,
    })
}

/// Fields with commas or quotes in them stand in quotes, and their quotes are doubled.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut letters = line.chars().peekable();
    loop {
        let mut field = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    Some('"') if letters.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(letter) => field.push(letter),
                    None => return Err("a quote is not closed".to_owned()),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != ',') {
                field.push(letter);
            }
        }
        fields.push(field);
        match letters.next() {
            None => return Ok(fields),
            Some(',') => {}
            Some(_) => return Err("something stands between a quote and a comma".to_owned()),
        }
    }
}

/// The text of rows.
pub(super) fn written(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let group = row.group.iter().map(|group| format!("{},", quoted(group)));
        let group: String = group.collect();
        format!("{group}{},{},{}\n", quoted(&row.topic), row.partition, row.offset)
    };
    rows.iter().map(line).collect()
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(group: Option<&str>, topic: &str, partition: i32, offset: i64) -> Row {
        Row { group: group.map(str::to_owned), topic: topic.to_owned(), partition, offset }
    }

    #[test]
    fn what_is_written_is_read() {
        let rows = [
            of(None, "t", 0, 5),
            of(Some("g"), "t", 1, 6),
            of(Some("a,\"b\""), "t", 2, i64::MAX),
            of(Some(""), "t", 3, 0),
        ];
        assert_eq!(written(&rows[..2]), "t,0,5\ng,t,1,6\n");
        assert_eq!(read(&written(&rows)), Ok(rows.to_vec()));
        assert_eq!(
            read("t,0,5\r\n\n\"t\",1,6"),
            Ok(vec![of(None, "t", 0, 5), of(None, "t", 1, 6)])
        );
    }

    #[test]
    fn the_wrong_line_is_named() {
        for wrong in ["t", "t,0", "t,x,5", "t,0,-5", "t,-1,5", "\"t,0,5", "\"t\"x,0,5", "a,b,c,d,e"]
        {
            let (line, _) = read(&format!("t,0,5\n{wrong}\n")).unwrap_err();
            assert_eq!(line, 2, "{wrong}");
        }
    }
}
