// SPDX-License-Identifier: Apache-2.0
// Asks PORT FOLDER VERSION CONNECTIONS WAY: as https_driver.py, by HttpClient; WAY: http1, or http2, where as many requests as there are connections share one. For .NET, and HTTP/1.1 on Mono (MONO).
using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Linq;
using System.Net.Http;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

static class Asks
{
	static readonly Regex Line = new Regex("\"method\": \"(.*?)\", \"path\": \"(.*?)\", \"body\": (\\d+)");

	/// Only the folder's certificate is believed; the system's store is not read.
	static HttpMessageHandler Handler(string folder, string version, int connections)
	{
		var only = new X509Certificate2(folder + "/cert.pem");
#if MONO
		return new HttpClientHandler
		{
			MaxConnectionsPerServer = connections, UseProxy = false, UseCookies = false,
			ServerCertificateCustomValidationCallback = (request, certificate, chain, errors) => certificate.GetCertHashString() == only.Thumbprint,
		};
#else
		var options = new SslClientAuthenticationOptions
		{
			EnabledSslProtocols = version == "1.2" ? SslProtocols.Tls12 : SslProtocols.Tls13,
			RemoteCertificateValidationCallback = (sender, certificate, chain, errors) => certificate.GetCertHashString() == only.Thumbprint,
		};
		return new SocketsHttpHandler { MaxConnectionsPerServer = connections, SslOptions = options, UseProxy = false, UseCookies = false };
#endif
	}

	static async Task Ask(HttpClient client, string port, string line, bool http2)
	{
		var m = Line.Match(line);
		var body = int.Parse(m.Groups[3].Value);
		var request = new HttpRequestMessage(new HttpMethod(m.Groups[1].Value), $"https://localhost:{port}{m.Groups[2].Value}") { Version = new Version(http2 ? 2 : 1, http2 ? 0 : 1) };
		if (body > 0)
			request.Content = new ByteArrayContent(Enumerable.Repeat((byte)'u', body).ToArray());
		var clock = Stopwatch.StartNew();
		using (var response = await client.SendAsync(request))
		{
			await response.Content.ReadAsByteArrayAsync();
			if (response.Version != request.Version)
				throw new Exception($"HTTP {response.Version}");
			Console.WriteLine($"{{\"path\": \"{m.Groups[2].Value}\", \"status\": {(int)response.StatusCode}, \"ns\": {clock.Elapsed.Ticks * 100}}}");
		}
	}

	static async Task AskAll(HttpClient client, ConcurrentQueue<string> plan, string port, bool http2)
	{
		string line; // not `out var`: Mono's compiler fails on it here
		while (plan.TryDequeue(out line))
			await Ask(client, port, line, http2);
	}

	static void Main(string[] args)
	{
		var plan = new ConcurrentQueue<string>();
		for (var line = Console.ReadLine(); line != null && line != "go"; line = Console.ReadLine())
			plan.Enqueue(line);
		var connections = int.Parse(args[3]);
		var http2 = args[4] == "http2";
		using (var client = new HttpClient(Handler(args[1], args[2], http2 ? 1 : connections)))
			Task.WhenAll(Enumerable.Range(0, connections).Select(_ => AskAll(client, plan, args[0], http2))).Wait();
	}
}
