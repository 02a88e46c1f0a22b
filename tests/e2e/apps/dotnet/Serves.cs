// SPDX-License-Identifier: Apache-2.0
// Serves PORT FOLDER: the routes of the truth tests (the same as httpd.py, but a delay of 59 ms, as timers may be 4 ms early here) over SslStream, with the certificate of FOLDER (pair.p12). For .NET and Mono.
using System;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

static class Serves
{
	static Task Write(SslStream stream, string text)
	{
		var bytes = Encoding.ASCII.GetBytes(text);
		return stream.WriteAsync(bytes, 0, bytes.Length);
	}

	static async Task Answer(SslStream stream, string method, int status, string body)
	{
		var head = $"HTTP/1.1 {status} X\r\n" + (status == 204 ? "\r\n" : $"Content-Length: {body.Length}\r\n\r\n");
		await Write(stream, method == "HEAD" || status == 204 ? head : head + body);
	}

	static async Task Chunks(SslStream stream)
	{
		await Write(stream, "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (var i = 0; i < 5; i++)
			await Write(stream, "2bd\r\n" + new string('c', 701) + "\r\n");
		await Write(stream, "0\r\n\r\n");
	}

	static async Task One(SslStream stream, string method, string path)
	{
		switch (path.Split('/')[1])
		{
			case "items": await Answer(stream, method, method == "DELETE" ? 204 : 200, "one item\n"); break;
			case "upload": await Answer(stream, method, 201, "stored\n"); break;
			case "big": await Answer(stream, method, 200, new string('b', 200003)); break;
			case "chunks": await Chunks(stream); break;
			case "slow": await Task.Delay(59); await Answer(stream, method, 200, "at last\n"); break;
			case "fail": await Answer(stream, method, 500, "no\n"); break;
			case "busy": await Answer(stream, method, 503, "later\n"); break;
			default: await Answer(stream, method, 404, "none\n"); break;
		}
	}

	static async Task Connection(TcpClient socket, X509Certificate2 certificate)
	{
		using (socket)
		using (var stream = new SslStream(socket.GetStream()))
		{
			socket.NoDelay = true;
			var part = new byte[65536];
			var have = "";
			try
			{
				await stream.AuthenticateAsServerAsync(certificate);
				for (int n; (n = await stream.ReadAsync(part, 0, part.Length)) > 0;)
				{
					have += Encoding.ASCII.GetString(part, 0, n);
					for (int end; (end = have.IndexOf("\r\n\r\n")) >= 0;)
					{
						var length = Regex.Match(have.Substring(0, end), "(?i)content-length: (\\d+)");
						var whole = end + 4 + (length.Success ? int.Parse(length.Groups[1].Value) : 0);
						if (have.Length < whole)
							break;
						var words = have.Split(new[] { ' ' }, 3);
						have = have.Substring(whole);
						await One(stream, words[0], words[1]);
					}
				}
			}
			catch (System.IO.IOException)
			{
				// Who only looks whether somebody listens shakes no hands.
			}
		}
	}

	static void Main(string[] args)
	{
		var certificate = new X509Certificate2(args[1] + "/pair.p12");
		var listener = new TcpListener(IPAddress.Loopback, int.Parse(args[0]));
		listener.Start(64);
		for (;;)
			_ = Connection(listener.AcceptTcpClient(), certificate);
	}
}
