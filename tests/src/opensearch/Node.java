import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One node of OpenSearch on loopback: FOLDER PORT SETTING=VALUE... */
public final class Node {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("network.host", "127.0.0.1");
            settings.put("http.port", arguments[1]);
            settings.put("transport.port", "0");
            // A full disk of the machine is no fault of the test.
            settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
            for (int index = 2; index < arguments.length; index++) {
                String[] setting = arguments[index].split("=", 2);
                settings.put(setting[0], setting[1]);
            }
        });
        runner.build(OpenSearchRunner.newConfigs().basePath(arguments[0]).numOfNode(1).clusterName("tidings"));
        System.out.println("tidings: ready");
        Thread.currentThread().join();
    }
}
