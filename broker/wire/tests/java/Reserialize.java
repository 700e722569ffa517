// Reads lines "package name version hex" from standard input, parses the bytes with Kafka's own
// generated class of that name and writes them again. "default" instead of hex writes a new
// instance; a fifth word is the version to write. Answers one line each: hex, "unsupported", or
// "error" and why.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;

public class Reserialize {
    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder output = new StringBuilder();
        String line;
        while ((line = input.readLine()) != null) {
            output.append(answer(line.split(" ", -1))).append('\n');
        }
        System.out.print(output);
    }

    private static String answer(String[] words) {
        short version = Short.parseShort(words[2]);
        try {
            Class<?> type = find(words[0], words[1]);
            Message plain = (Message) type.getConstructor().newInstance();
            if (version < plain.lowestSupportedVersion()
                    || version > plain.highestSupportedVersion()) {
                return "unsupported";
            }
            if (words[3].equals("default")) {
                return write(plain, version);
            }
            ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(words[3]));
            Message message = (Message) type.getConstructor(Readable.class, short.class)
                    .newInstance(new ByteBufferAccessor(bytes), version);
            if (bytes.hasRemaining()) {
                return "error " + bytes.remaining() + " bytes left";
            }
            return write(message, words.length > 4 ? Short.parseShort(words[4]) : version);
        } catch (ReflectiveOperationException | RuntimeException error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            return "error " + cause.toString().replace('\n', ' ');
        }
    }

    private static String write(Message message, short version) {
        ByteBuffer bytes = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] array = new byte[bytes.remaining()];
        bytes.get(array);
        return HexFormat.of().formatHex(array);
    }

    private static Class<?> find(String folder, String name) throws ClassNotFoundException {
        String[] candidates = {
            "org.apache.kafka." + folder + "." + name + "Data",
            "org.apache.kafka." + folder + "." + name,
            "org.apache.kafka.raft.generated." + name,
        };
        for (String candidate : candidates) {
            try {
                return Class.forName(candidate);
            } catch (ClassNotFoundException next) {
                continue;
            }
        }
        throw new ClassNotFoundException(name);
    }
}
