// Runs Kafka's console tools one after another in one virtual machine, as a shell would run
// them: own arguments, standard input, output and exit code. A JVM start costs three seconds of
// CPU, a tool in a warm one a few hundredths.
//
// Protocol on standard input, one request per line, fields separated by tabs:
//   CLASS  STDIN-FILE  STDOUT-FILE  STDERR-FILE  ARGUMENT...
// and on standard output one line per request: the exit code.

import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

public class ToolServer {
    /** Leaves a tool's main. An Error, so that the tool's own handlers let it pass. */
    static final class Exited extends Error {
        Exited() {
            super(null, null, false, false);
        }
    }

    /** What the running tool wants done at its end. */
    static final List<Runnable> hooks = new ArrayList<>();

    /** The code of the first exit that the running tool asked for. */
    static Integer exitCode;

    static void exit(int code, String message) {
        if (message != null) System.err.println(message);
        if (exitCode == null) exitCode = code;
        throw new Exited();
    }

    public static void main(String[] args) throws Exception {
        BufferedReader requests =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = System.out;
        Exit.setExitProcedure(ToolServer::exit);
        Exit.setHaltProcedure(ToolServer::exit);
        // The JVM does not end with the tool, so hooks (the console producer flushes in one)
        // are run when the tool's main has ended.
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        String line;
        while ((line = requests.readLine()) != null) {
            String[] fields = line.split("\t", -1);
            answers.println(call(fields));
            answers.flush();
        }
    }

    static int call(String[] fields) throws Exception {
        InputStream in = new FileInputStream(fields[1]);
        exitCode = null;
        PrintStream out = new PrintStream(
            new BufferedOutputStream(new FileOutputStream(fields[2]), 1 << 16), false, "UTF-8");
        PrintStream err = new PrintStream(new FileOutputStream(fields[3]), true, "UTF-8");
        InputStream oldIn = System.in;
        PrintStream oldOut = System.out;
        PrintStream oldErr = System.err;
        System.setIn(in);
        System.setOut(out);
        System.setErr(err);
        try {
            Class<?> tool = Class.forName(fields[0]);
            String[] arguments = Arrays.copyOfRange(fields, 4, fields.length);
            tool.getMethod("main", String[].class).invoke(null, (Object) arguments);
            return exitCode == null ? 0 : exitCode;
        } catch (InvocationTargetException e) {
            Throwable cause = e.getCause();
            if (!(cause instanceof Exited)) cause.printStackTrace(err);
            return exitCode == null ? 1 : exitCode;
        } catch (ReflectiveOperationException e) {
            e.printStackTrace(err);
            return 1;
        } finally {
            for (Runnable hook : hooks) hook.run();
            hooks.clear();
            out.flush();
            System.setIn(oldIn);
            System.setOut(oldOut);
            System.setErr(oldErr);
            in.close();
            out.close();
            err.close();
        }
    }
}
