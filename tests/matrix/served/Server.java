// Usage: Server PORT LOG

import com.sun.net.httpserver.HttpServer;
import java.io.FileOutputStream;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class Server {
    public static void main(String[] arguments) throws Exception {
        FileOutputStream log = new FileOutputStream(arguments[1], true);
        byte[] answer = (ProcessHandle.current().pid() + "\n").getBytes();
        HttpServer server = HttpServer.create(new InetSocketAddress("::", Integer.parseInt(arguments[0])), 0);
        server.createContext("/", exchange -> {
            log.write(answer);
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }
}
