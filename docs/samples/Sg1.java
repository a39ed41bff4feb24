import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;

/**
 * SG1 request headers in plain Java 17, HMAC-SM3 (SM3 of GB/T 32905 included, no library needed).
 * 用 Java 17 生成 SG1 请求头（HMAC-SM3，自带 SM3，无需第三方库）。
 *
 * <pre>
 * SG_APP=rs-benefit SG_HMAC=hmac.key java Sg1.java GET 'https://gw.example/pop/v1/persons?id=1' > headers
 * curl --cacert ca.pem -H @headers 'https://gw.example/pop/v1/persons?id=1'
 * </pre>
 *
 * SG_HMAC is a file with the HMAC key in base64.
 *
 * To sign with SM2 use BouncyCastle: Signature.getInstance("SM3withSM2", "BC") over the same text gives the DER
 * value for "sm2=" + base64. Environment: see sg1.sh.
 */
public class Sg1 {
    static final String[] ELEMENTS = {"purpose", "item", "biz", "org", "operator"};

    public static void main(String[] args) throws Exception {
        byte[] body = args.length > 2 ? Files.readAllBytes(Path.of(args[2])) : new byte[0];
        String rest = args[1].substring(args[1].indexOf("://") + 3);
        int slash = rest.indexOf('/');
        String host = (slash < 0 ? rest : rest.substring(0, slash)).toLowerCase();
        String path = slash < 0 ? "/" : rest.substring(slash);
        String query = "";
        int mark = path.indexOf('?');
        if (mark >= 0) {
            query = path.substring(mark + 1);
            path = path.substring(0, mark);
        }
        String[] pairs = query.split("&", -1);
        Arrays.sort(pairs, (a, b) -> Arrays.compareUnsigned(utf8(a), utf8(b)));

        byte[] random = new byte[16];
        new SecureRandom().nextBytes(random);
        String nonce = env("SG_NONCE", Base64.getUrlEncoder().withoutPadding().encodeToString(random));
        String time = env("SG_TIME", Long.toString(System.currentTimeMillis()));
        String digest = "sm3=" + Base64.getEncoder().encodeToString(sm3(body));

        List<String> names = new ArrayList<>(List.of("app", "time", "nonce", "digest"));
        List<String> values = new ArrayList<>(List.of(System.getenv("SG_APP"), time, nonce, digest));
        for (String e : ELEMENTS) {
            names.add(e);
            values.add(encoded(env("SG_" + e.toUpperCase(), "")));
        }
        StringBuilder text = new StringBuilder(String.join("\n", "SG1", args[0].toUpperCase(), host, path, String.join("&", pairs)));
        for (int i = 0; i < names.size(); i++) {
            text.append("\nx-sg-").append(names.get(i)).append(':').append(values.get(i));
            if (!values.get(i).isEmpty()) {
                String n = names.get(i);
                System.out.println("X-SG-" + Character.toUpperCase(n.charAt(0)) + n.substring(1) + ": " + values.get(i));
            }
        }
        byte[] key = Base64.getDecoder().decode(Files.readString(Path.of(System.getenv("SG_HMAC"))).strip());
        System.out.println("X-SG-Sign: hmac-sm3=" + Base64.getEncoder().encodeToString(hmac(key, utf8(text.toString()))));
    }

    static String env(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null || v.isEmpty() ? otherwise : v;
    }

    /** Percent-encodes what is not visible ASCII, and %. */
    static String encoded(String s) {
        if (s.indexOf('\uFFFD') >= 0) {
            throw new IllegalArgumentException("Java could not read the environment: run with LC_ALL=C.UTF-8");
        }
        StringBuilder out = new StringBuilder();
        for (byte b : utf8(s)) {
            out.append(b > 0x20 && b < 0x7f && b != '%' ? Character.toString(b) : String.format("%%%02X", b));
        }
        return out.toString();
    }

    static byte[] utf8(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] hmac(byte[] key, byte[] message) {
        byte[] k = Arrays.copyOf(key.length > 64 ? sm3(key) : key, 64);
        byte[] inner = Arrays.copyOf(k, 64 + message.length);
        byte[] outer = Arrays.copyOf(k, 64 + 32);
        for (int i = 0; i < 64; i++) {
            inner[i] ^= 0x36;
            outer[i] ^= 0x5c;
        }
        System.arraycopy(message, 0, inner, 64, message.length);
        System.arraycopy(sm3(inner), 0, outer, 64, 32);
        return sm3(outer);
    }

    /** SM3, GB/T 32905-2016. */
    static byte[] sm3(byte[] message) {
        int blocks = (message.length + 9 + 63) / 64;
        byte[] m = Arrays.copyOf(message, blocks * 64);
        m[message.length] = (byte) 0x80;
        long bits = 8L * message.length;
        for (int i = 0; i < 8; i++) {
            m[m.length - 1 - i] = (byte) (bits >>> (8 * i));
        }
        int[] v = {0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e};
        int[] w = new int[68];
        for (int b = 0; b < blocks; b++) {
            for (int i = 0; i < 16; i++) {
                int o = b * 64 + i * 4;
                w[i] = (m[o] & 255) << 24 | (m[o + 1] & 255) << 16 | (m[o + 2] & 255) << 8 | m[o + 3] & 255;
            }
            for (int i = 16; i < 68; i++) {
                int x = w[i - 16] ^ w[i - 9] ^ Integer.rotateLeft(w[i - 3], 15);
                w[i] = x ^ Integer.rotateLeft(x, 15) ^ Integer.rotateLeft(x, 23) ^ Integer.rotateLeft(w[i - 13], 7) ^ w[i - 6];
            }
            int[] r = v.clone();
            for (int i = 0; i < 64; i++) {
                int t = i < 16 ? 0x79cc4519 : 0x7a879d8a;
                int ss1 = Integer.rotateLeft(Integer.rotateLeft(r[0], 12) + r[4] + Integer.rotateLeft(t, i % 32), 7);
                int ss2 = ss1 ^ Integer.rotateLeft(r[0], 12);
                int ff = i < 16 ? r[0] ^ r[1] ^ r[2] : r[0] & r[1] | r[0] & r[2] | r[1] & r[2];
                int gg = i < 16 ? r[4] ^ r[5] ^ r[6] : r[4] & r[5] | ~r[4] & r[6];
                int tt1 = ff + r[3] + ss2 + (w[i] ^ w[i + 4]);
                int tt2 = gg + r[7] + ss1 + w[i];
                r[3] = r[2];
                r[2] = Integer.rotateLeft(r[1], 9);
                r[1] = r[0];
                r[0] = tt1;
                r[7] = r[6];
                r[6] = Integer.rotateLeft(r[5], 19);
                r[5] = r[4];
                r[4] = tt2 ^ Integer.rotateLeft(tt2, 9) ^ Integer.rotateLeft(tt2, 17);
            }
            for (int i = 0; i < 8; i++) {
                v[i] ^= r[i];
            }
        }
        byte[] out = new byte[32];
        for (int i = 0; i < 32; i++) {
            out[i] = (byte) (v[i / 4] >>> (24 - 8 * (i % 4)));
        }
        return out;
    }
}
